import type { QueueInfo } from "../inspect.ts";

/** Who holds a queue, in a few words: a worker, or how many of its lanes are taken. Empty when nothing of it runs. */
export function describeHolder({ lockedBy, limits }: Pick<QueueInfo, "lockedBy" | "limits">): string {
  if (lockedBy !== null) return lockedBy;
  if (limits === null || limits.running === 0) return "";
  const { running, concurrency } = limits;
  return concurrency === "unlimited" ? `${running} running` : `${running} of ${concurrency} lanes`;
}
