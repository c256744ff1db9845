import { conditionText, STATES } from "./filter.ts";

/** What a field of filters offers to those who have begun to type. */
export function suggestions({
  tasks,
  queues,
}: {
  readonly tasks: readonly string[];
  readonly queues: readonly string[];
}): readonly string[] {
  return [
    ...STATES.map((value) => conditionText({ name: "state", value })),
    ...tasks.map((value) => conditionText({ name: "task", value })),
    ...queues.map((value) => conditionText({ name: "queue", value })),
    "age:>5m",
    "age:<1h",
    "age:<1d",
    "failed:<1h",
    "failed:<1d",
  ];
}
