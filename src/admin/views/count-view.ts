import type { Count, JobStats } from "../../client/counts.ts";
import type { CountView, StateCountsView } from "../contract/component.ts";

/** A count as an answer has it. */
export function toCountView({ value, exact, asOf }: Count): CountView {
  return { value, exact, asOf: asOf.toISOString() };
}

/** Counts of each state as an answer has them. */
export function toStateCountsView({ ready, scheduled, running, failed }: JobStats): StateCountsView {
  return {
    ready: toCountView(ready),
    scheduled: toCountView(scheduled),
    running: toCountView(running),
    failed: toCountView(failed),
  };
}

/** The sums of several counts; exact when all are. */
export function sumOfStats(stats: readonly JobStats[], asOf: Date): StateCountsView {
  const sum = (state: keyof JobStats): CountView => ({
    value: stats.reduce((total, one) => total + one[state].value, 0),
    exact: stats.every((one) => one[state].exact),
    asOf: asOf.toISOString(),
  });
  return { ready: sum("ready"), scheduled: sum("scheduled"), running: sum("running"), failed: sum("failed") };
}
