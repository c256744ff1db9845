import type { Count } from "../../src/client/counts.ts";
import type { Facts, ShownJob } from "../../src/cli/watch/facts.ts";
import type { JobState } from "../../src/job/job.ts";

const AT = Date.UTC(2030, 0, 31, 12);

/** What a look might find: a busy task, one that no worker runs, a paused one, a silent worker. */
export function exampleFacts(changes: Partial<Facts> = {}): Facts {
  const group = (name: string, counts: readonly [number, number, number, number]) => {
    const [ready, scheduled, running, failed] = counts.map((value) => count(value)) as [Count, Count, Count, Count];
    return { name, ready, scheduled, running, failed };
  };
  return {
    at: AT,
    stats: {
      ready: count(3_512_345, false),
      scheduled: count(1_100_000, false),
      running: count(19),
      failed: count(412),
    },
    oldestDue: new Date(AT - 7_620_000),
    newestId: "9000000",
    tasks: [
      group("resize_image", [9_412, 0, 0, 0]),
      group("send_email", [3_400, 12, 14, 400]),
      group("nightly", [1, 1, 0, 12]),
    ],
    pausedTasks: ["nightly"],
    queues: [
      {
        name: "mail:17",
        jobCount: count(1_000, false),
        readyCount: count(3),
        lockedAt: new Date(AT - 90_000),
        lockedBy: "worker-gone",
        isPaused: false,
        pausedUntil: null,
      },
    ],
    workers: [worker("worker-web-1", false), worker("worker-gone", true)],
    running: [job("42", "running", { lockedAt: new Date(AT - 61_000), lockedBy: "worker-web-1" })],
    failed: [job("43", "failed", { lastError: "mailbox is full\n    at send (mail.js:1:1)" })],
    schedules: [],
    ...changes,
  };
}

function count(value: number, exact = true): Count {
  return { value, exact, asOf: new Date(AT) };
}

function worker(id: string, isStale: boolean) {
  return {
    id,
    startedAt: new Date(AT - 86_400_000),
    lastHeartbeatAt: new Date(AT - (isStale ? 600_000 : 2_000)),
    session: isStale ? ("lost" as const) : ("held" as const),
    isStale,
    report: null,
    metadata: { host: "web-1", pid: 4711, concurrency: 24, tasks: ["send_email", "nightly"] },
  };
}

function job(id: string, state: JobState, changes: Partial<ShownJob>): ShownJob {
  return {
    id,
    task: "send_email",
    queueName: "mail:17",
    priority: 0,
    runAt: new Date(AT - 120_000),
    attempts: 1,
    maxAttempts: 25,
    lastError: null,
    createdAt: new Date(AT - 180_000),
    updatedAt: new Date(AT - 60_000),
    jobKey: null,
    revision: 0,
    flags: [],
    timeoutMs: null,
    lockedAt: null,
    lockedBy: null,
    state,
    ...changes,
  };
}
