export function Task() {
  return <p>Task</p>;
}
