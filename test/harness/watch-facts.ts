import type { Count } from "../../src/client/counts.ts";
import type { Sample } from "../../src/client/samples.ts";
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
        limits: null,
      },
    ],
    workers: [worker("worker-web-1", false), worker("worker-gone", true)],
    idleWorkers: 0,
    running: [job("42", "running", { lockedAt: new Date(AT - 61_000), lockedBy: "worker-web-1" })],
    failed: [job("43", "failed", { lastError: "mailbox is full\n    at send (mail.js:1:1)" })],
    schedules: [],
    ...changes,
  };
}

/** The samples of these minutes before the facts, the oldest first, with groups. */
export function exampleSamples(minutes: number): Sample[] {
  return Array.from({ length: minutes }, (_, index) => ({
    at: new Date(AT - (minutes - index) * 60_000),
    ready: 1_000 * (index + 1),
    scheduled: 12,
    running: 19,
    failed: 412,
    workers: 2,
    slots: 48,
    busy: 19,
    deadRows: 5,
    oldestDueMs: 7_620_000,
    oldestSnapshotMs: null,
    tookMs: 12,
    rowsInserted: 60_000 * index,
    rowsUpdated: 0,
    rowsDeleted: 600 * index,
    tasks: [
      { name: "send_email", jobCount: 3_400, oldestMs: 8_000 },
      { name: "resize_image", jobCount: 412, oldestMs: 7_620_000 },
    ],
    queues: [{ name: "mail:17", jobCount: 3, oldestMs: 90_000 }],
  }));
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
