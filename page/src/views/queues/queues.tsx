export function Queues() {
  return <p>Queues</p>;
}
