export function OperationList() {
  return <p>OperationList</p>;
}
