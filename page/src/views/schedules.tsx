export function ScheduleList() {
  return <p>ScheduleList</p>;
}
