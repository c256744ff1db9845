export function Tasks() {
  return <p>Tasks</p>;
}
