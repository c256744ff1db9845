import type { OperationView } from "../../../../src/admin/contract/bulk-views.ts";
import { type Condition, filterInWords } from "../../filter/filter.ts";

/** Which jobs an operation is about, in words. */
export function filterOfOperation({ filter }: OperationView): string {
  if (!filter) return "jobs by their ids";
  return filterInWords(conditionsOf(filter));
}

/** The same as conditions that the list of jobs understands. Times are left out: ages of then mean others now. */
export function conditionsOf(filter: NonNullable<OperationView["filter"]>): readonly Condition[] {
  const conditions: Condition[] = [];
  const add = (name: Condition["name"], value: string | number | undefined): void => {
    if (value !== undefined) conditions.push({ name, value: String(value) });
  };
  add("state", filter.state);
  add("task", filter.task);
  add("queue", filter.queueName);
  add("worker", filter.workerId);
  add("key", filter.jobKey);
  add("priority", filter.priority);
  add("error", filter.error);
  return conditions;
}
