export function Workers() {
  return <p>Workers</p>;
}
