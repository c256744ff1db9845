import type { Rule } from "../verdict.ts";

/** When all workers have ended, no job and no queue is locked, and none of them is registered. */
export const nothingLeftBehind: Rule = ({ tables }) => ({
  violations: [
    ...tables.jobs.flatMap(({ id, lockedBy }) => (lockedBy === null ? [] : [`job ${id} is locked by ${lockedBy}`])),
    ...tables.lockedQueues.map(({ name, lockedBy }) => `queue ${name} is locked by ${lockedBy}`),
    ...tables.workers.map((id) => `worker ${id} is still registered`),
  ],
});
