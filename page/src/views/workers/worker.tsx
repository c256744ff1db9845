export function Worker() {
  return <p>Worker</p>;
}
