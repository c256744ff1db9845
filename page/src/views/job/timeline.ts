import type { JobRow } from "../../../../src/admin/contract/job-views.ts";

/** Something that happened to a job, or will. */
export interface Moment {
  readonly at: number;
  readonly what: string;
  readonly look: "added" | "due" | "started" | "failed" | "now";
}

type Timed = Pick<JobRow, "state" | "createdAt" | "runAt" | "updatedAt" | "lockedAt" | "attempts" | "error">;

/** What is stored of the life of a job, in the order of time. What a row does not keep is not made up. */
export function timelineOf(job: Timed, now: number): readonly Moment[] {
  const moments: Moment[] = [{ at: Date.parse(job.createdAt), what: "added", look: "added" }];
  const hasFailed = job.attempts > 0 && job.error !== null;
  if (job.state === "failed") moments.push({ at: Date.parse(job.updatedAt), what: "failed for good", look: "failed" });
  else if (hasFailed && job.state !== "running") {
    moments.push({ at: Date.parse(job.updatedAt), what: `attempt ${job.attempts} failed`, look: "failed" });
  }
  if (job.state === "running" && job.lockedAt !== null) {
    moments.push({ at: Date.parse(job.lockedAt), what: `attempt ${job.attempts} claimed`, look: "started" });
  }
  if (job.runAt !== null && job.state !== "failed") {
    moments.push({ at: Date.parse(job.runAt), what: hasFailed ? "retry due" : "due", look: "due" });
  }
  moments.push({ at: now, what: "now", look: "now" });
  return moments.toSorted((a, b) => a.at - b.at || ORDER.indexOf(a.look) - ORDER.indexOf(b.look));
}

const ORDER: readonly Moment["look"][] = ["added", "due", "started", "failed", "now"];

/** Where each moment stands between 0 and 1, to scale. */
export function positions(moments: readonly Moment[]): readonly number[] {
  const first = moments[0]?.at ?? 0;
  const span = (moments.at(-1)?.at ?? 0) - first;
  return moments.map(({ at }) => (span === 0 ? 0 : (at - first) / span));
}
