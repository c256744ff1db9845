import { countGroups, type CountTarget } from "../postgres/queries/count-jobs.ts";
import { type Count, type JobStats, toStats } from "./counts.ts";
import { readErrors } from "./errors-by-line.ts";

/** Counts the jobs of each group by state. */
export async function readGroupStats(target: CountTarget, by: GroupStats["by"]): Promise<GroupStats> {
  if (by === "error") return { by, groups: await errorGroups(target) };
  const { groups, isExact } = await countGroups(target, by);
  return { by, groups: groups.map(({ name, counts }) => ({ name, ...toStats(counts, isExact) })) };
}

/** How many jobs there are of each task, queue or error. */
export interface GroupStats {
  readonly by: "task" | "queue" | "error";
  /** A hundred at most, those with the most jobs first. */
  readonly groups: readonly JobGroup[];
}

/** The jobs of one task, queue or error. */
export interface JobGroup extends JobStats {
  /** The identifier of the task, the name of the queue, or the first line of the error. */
  readonly name: string;
}

async function errorGroups(target: CountTarget): Promise<JobGroup[]> {
  const { errors } = await readErrors(target, {}, 100);
  return errors.map(({ message, jobCount: failed }) => {
    const none: Count = { ...failed, value: 0, exact: true };
    return { name: message, ready: none, scheduled: none, running: none, failed };
  });
}
