import type { JobContext } from "../../../../src/job/execute/context.ts";
import { snooze } from "../../../../src/job/directive.ts";
import { defineTask, type HandlerResult } from "../../../../src/job/task.ts";
import { systemClock } from "../../../../src/runtime/clock.ts";
import { parseDuration } from "../../../../src/runtime/duration.ts";
import { until } from "../../../harness/until.ts";
import { aborted } from "../../../harness/worker.ts";
import type { Cue, EndingCase, Scene } from "./ending-case.ts";
import { INTERRUPTED_DELAY, RECOVERY_DELAY, RETRY_DELAY, SNOOZE_DELAY } from "./observation.ts";

const retry = { type: "fixed", delay: RETRY_DELAY } as const;

/** Says that it runs, waits for the case, and then does this. */
function waits(then: () => HandlerResult = () => undefined): EndingCase["task"] {
  return (identifier, cue) =>
    defineTask({
      identifier,
      retry,
      async run() {
        cue.started();
        await cue.released;
        return then();
      },
    });
}

async function obey(cue: Cue, { signal }: JobContext): Promise<void> {
  cue.started();
  throw await aborted(signal);
}

/** Runs until it is told to stop, and then throws why. */
const obeys: EndingCase["task"] = (identifier, cue) =>
  defineTask({ identifier, retry, run: (_payload: unknown, context) => obey(cue, context) });

function fails(): never {
  throw new Error("no luck");
}

/** Does this while the handler runs, and then lets it end. */
function meanwhile(work: (scene: Scene) => Promise<unknown>): NonNullable<EndingCase["act"]> {
  return async (scene) => {
    await scene.started;
    await work(scene);
    scene.release();
  };
}

const keyOf = ({ job }: Scene): string => job.jobKey ?? "";
const remove = meanwhile((scene) => scene.worker.client.removeJob(keyOf(scene)));
const replace = meanwhile((scene) =>
  // Due much later, so that the new job leaves the queue and this test alone.
  scene.worker.client.addJob(scene.job.task, {}, { jobKey: keyOf(scene), runAt: "2099-01-01" }),
);
const cancelIt = meanwhile(({ worker, job }) => worker.client.cancelJobs([job.id], "not wanted"));

/** What can be done to a job that runs. */
export const BY_OTHERS: readonly EndingCase[] = [
  { what: "`removeJob` while it runs, and it returns", task: waits(), spec: { jobKey: "removed" }, act: remove },
  {
    what: "`removeJob` while it runs, and it throws",
    task: waits(fails),
    spec: { jobKey: "removed, fails" },
    act: remove,
  },
  {
    what: "`removeJob` while it runs, and it snoozes",
    task: waits(() => snooze("1s")),
    spec: { jobKey: "removed, snoozes" },
    act: remove,
  },
  {
    what: "replaced by its key while it runs, and it returns",
    task: waits(),
    spec: { jobKey: "replaced" },
    act: replace,
  },
  {
    what: "replaced by its key while it runs, and it throws",
    task: waits(fails),
    spec: { jobKey: "replaced, fails" },
    act: replace,
  },
  { what: "`cancelJobs` while it runs, and it stops", task: obeys, act: cancelIt },
  { what: "`cancelJobs` while it runs, and it returns all the same", task: waits(), act: cancelIt },
  {
    what: "`cancelJobs` while it waits in a local queue",
    waits: true,
    task: waits(),
    options: {},
    ways: ["local queue", "chain"],
    act: async ({ worker, job, claimed }) => {
      await claimed();
      await worker.client.cancelJobs([job.id], "not wanted");
    },
  },
  {
    what: "its task is paused while it waits in a local queue",
    waits: true,
    task: waits(),
    options: {},
    ways: ["local queue", "chain"],
    act: async ({ worker, job, claimed }) => {
      await claimed();
      await worker.client.pauseTask(job.task);
    },
  },
  {
    what: "its timeout is over, and it stops",
    task: (identifier, cue) =>
      defineTask({ identifier, retry, timeout: "30ms", run: (_payload: unknown, context) => obey(cue, context) }),
  },
  {
    what: "its timeout is over, and it goes on",
    lingers: true,
    task: (identifier, cue) => defineTask({ identifier, retry, timeout: "30ms", run: () => cue.released }),
  },
  {
    what: "its row is deleted while it runs",
    lastEvent: "jobReleaseRefused",
    task: waits(),
    act: meanwhile(({ database, job }) => database.sql("delete from howdah._private_jobs where id = $1", [job.id])),
  },
];

const INTERRUPTING = {
  shutdown: { gracePeriod: "50ms", abortPeriod: "50ms", interruptedJobRetryDelay: INTERRUPTED_DELAY },
} as const;
const stop: EndingCase["act"] = async ({ worker, started }) => {
  await started;
  await worker.stop();
};
const QUICK_RECOVERY = {
  heartbeatInterval: "100ms",
  sweepInterval: "50ms",
  sweepThreshold: "200ms",
  orphanInterval: "50ms",
  recoveryDelay: RECOVERY_DELAY,
} as const;

/** A worker that is gone holds the job, and its queue. */
function heldByDead(columns: string): NonNullable<EndingCase["act"]> {
  return async ({ database, job, queueName }) => {
    const dead = `howdah_${job.id.padStart(18, "0")}`;
    const locked = "locked_by = $2, locked_at = now() - interval '1 h'";
    await database.sql(
      "insert into howdah._private_workers (id, last_heartbeat_at) values ($1, now() - interval '1 h')",
      [dead],
    );
    await database.sql(`update howdah._private_jobs set ${locked}, ${columns} where id = $1`, [job.id, dead]);
    await database.sql(`update howdah._private_job_queues set ${locked} where queue_name = $1`, [queueName, dead]);
    await until(
      async () => (await database.sql("select from howdah._private_workers where id = $1", [dead])).length === 0,
      { message: "the dead worker to be recovered" },
    );
  };
}

const crashed = {
  task: waits(),
  foreign: true,
  ways: ["direct", "direct, in a queue"],
  options: { recovery: QUICK_RECOVERY },
} as const;

function inSnoozeDelay(): Date {
  return new Date(systemClock.now() + parseDuration(SNOOZE_DELAY, "the delay"));
}

/** What can happen to the worker. */
export const BY_WORKER: readonly EndingCase[] = [
  { what: "the worker shuts down, and it stops", task: obeys, endsWorker: true, options: INTERRUPTING, act: stop },
  {
    what: "the worker shuts down, and it goes on",
    lingers: true,
    task: waits(),
    endsWorker: true,
    options: INTERRUPTING,
    act: stop,
  },
  {
    what: "the worker shuts down, and it was not started",
    waits: true,
    task: waits(),
    endsWorker: true,
    options: INTERRUPTING,
    ways: ["local queue", "chain"],
    act: async ({ worker, claimed }) => {
      await claimed();
      await worker.stop();
    },
  },
  {
    what: "its local queue's `ttl` is over, and it was not started",
    waits: true,
    task: waits(),
    options: { localQueue: { size: 10, ttl: "50ms" } },
    ways: ["local queue", "chain"],
  },
  {
    what: "`forceUnlockWorkers` while it runs, and it returns",
    // The worker would claim it and learn from that what has happened, sooner or later.
    isLast: true,
    lastEvent: "jobReleaseRefused",
    task: waits(),
    options: { concurrency: 1 },
    act: meanwhile(async ({ worker, job }) => {
      // When its session begins to listen a worker asks about all that it holds, and would learn of it by that.
      await until(async () =>
        (await worker.client.listActiveWorkers()).some(({ id, session }) => id === worker.id && session === "held"),
      );
      // Otherwise it would be claimed again at once.
      await worker.client.pauseTask(job.task);
      await worker.client.forceUnlockWorkers([job.lockedBy ?? worker.id]);
    }),
  },
  {
    what: "the worker is declared dead while it runs",
    lastEvent: "jobInterrupted",
    task: obeys,
    options: { recovery: { heartbeatInterval: "50ms", contactTimeout: "10s" } },
    act: async ({ database, worker, started }) => {
      await started;
      const ids = [worker.id];
      await database.sql("select howdah.recover_dead_worker_jobs($1, $2)", [ids, RECOVERY_DELAY]);
      await database.sql("select howdah.delete_stale_workers($1)", [ids]);
    },
  },
  { what: "the worker dies while it runs", ...crashed, act: heldByDead("attempts = 1") },
  {
    what: "the same, and `jobRecovery` reschedules it",
    ...crashed,
    act: heldByDead("attempts = 1"),
    hooks: { jobRecovery: () => ({ action: "reschedule", runAt: inSnoozeDelay() }) },
  },
  {
    what: "the same, and `jobRecovery` fails it",
    ...crashed,
    act: heldByDead("attempts = 1"),
    hooks: { jobRecovery: () => ({ action: "fail", message: "no second time" }) },
  },
  {
    what: "the third worker dies while it runs",
    ...crashed,
    act: heldByDead("attempts = 1, _howdah_recoveries = -2"),
  },
  {
    what: "the third worker dies while it runs, in the last attempt",
    ...crashed,
    act: heldByDead("attempts = 25, _howdah_recoveries = -2"),
  },
];
