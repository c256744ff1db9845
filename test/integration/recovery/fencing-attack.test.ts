import { afterAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { aborted, createTestWorker, record } from "../../harness/worker.ts";

// Everything is taken away from a worker again and again while it runs, so that it claims its own queues beside its own
// handlers, of which some do not stop. Whatever the rows say, no two of a queue may run at once.
const database = await createDatabase();
afterAll(() => database.drop());

const JOBS = 120;
const QUEUES = 4;
const TURNS = 45;

/** Counts the handlers of each queue that run at once. */
function createGuardedTask() {
  const running = new Map<string, number>();
  const overlaps: string[] = [];
  const ran = new Set<string>();
  const task = defineTask({
    identifier: "guarded",
    retry: { type: "fixed", delay: 0 },
    async run(n: number, { job, signal }) {
      const queue = job.queueName ?? "";
      const beside = running.get(queue) ?? 0;
      running.set(queue, beside + 1);
      if (beside > 0 && queue !== "") overlaps.push(queue);
      // One waits to be robbed, so that it happens at all.
      if (n === 1 && !ran.has("robbed")) await aborted(signal).then(() => ran.add("robbed"));
      const stop = n % 3 === 0 ? [] : [aborted(signal)];
      await Promise.race([systemClock.sleep(n % 7), ...stop]);
      running.set(queue, (running.get(queue) ?? 0) - 1);
      if (n % 5 === 0 && job.attempts === 1) throw new Error("The first attempt fails.");
      signal.throwIfAborted();
      ran.add(job.id);
    },
  });
  return { task, overlaps, ran };
}

describe.each([
  ["directly", {}],
  ["into a local queue", { localQueue: { size: 40 } }],
  ["into several local queues", { localQueue: { size: 10, queueCount: 3 } }],
])("a worker that claims %s and is robbed all the time", (_, source) => {
  it("never runs two jobs of a queue at once, loses none and leaves nothing locked", async () => {
    await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
    const { task, overlaps, ran } = createGuardedTask();
    await using worker = await createTestWorker(database, {
      tasks: [task],
      concurrency: 6,
      pollInterval: "20ms",
      recovery: { ...PATIENT_RECOVERY, heartbeatInterval: "50ms" },
      shutdown: { abortPeriod: "1ms", interruptedJobRetryDelay: 0 },
      ...source,
    });
    const interrupted = record(worker.hooks, "jobInterrupted");
    const jobs = await worker.client.addJobs(
      Array.from({ length: JOBS }, (_payload, n) => ({
        task,
        payload: n,
        spec: { maxAttempts: 1_000, ...(n % 6 === 0 ? {} : { queueName: `q${n % QUEUES}` }) },
      })),
    );
    const running = worker.run();
    const left = async () => (await database.sql("select from howdah._private_jobs")).length;
    for (let turn = 0; (turn < TURNS || !ran.has("robbed")) && (await left()) > 0; turn++) {
      // By an operator, by a sweeper that has already given everything back, and one that has yet to.
      if (turn % 3 === 0) await worker.client.forceUnlockWorkers([worker.id]);
      if (turn % 3 === 1) {
        await database.sql(
          `with swept as (update howdah._private_workers set _howdah_swept = 1 where id = $1)
           select howdah.recover_dead_worker_jobs(array[$1])`,
          [worker.id],
        );
      }
      if (turn % 3 === 2)
        await database.sql("update howdah._private_workers set _howdah_swept = 1 where id = $1", [worker.id]);
    }
    await until(async () => (await left()) === 0, { deadlineMs: 60_000 });
    await worker.stop();
    await running;
    expect(overlaps).toEqual([]);
    expect(interrupted.events.some(({ reason }) => reason === "lost")).toBe(true);
    for (const { id } of jobs) expect(ran).toContain(id);
    expect(await database.sql("select from howdah._private_job_queues where locked_by is not null")).toEqual([]);
  }, 90_000);
});
