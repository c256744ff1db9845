import { expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase } from "../../harness/database.ts";
import { createLossyDriver } from "../../harness/lossy-driver.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

const JOBS = 120;
const DIRECT = {};
const LOCAL_QUEUE = { localQueue: { size: 15 } };
// Time goes faster for the workers than for the database, so two of them would take each other for dead.
const ALONE = { recovery: false } as const;

/** A task that counts its runs, fails some jobs the first time, and notices when two jobs of a queue run at once. */
function createLedger(sleep: (ms: number) => Promise<void>) {
  const runs = new Map<number, number>();
  const running = new Set<string>();
  const overlaps: string[] = [];
  const task = defineTask({
    identifier: "job",
    retry: { type: "fixed", delay: 1 },
    async run(n: number, { job }) {
      const queue = job.queueName ?? `none ${n}`;
      if (running.has(queue)) overlaps.push(queue);
      running.add(queue);
      runs.set(n, (runs.get(n) ?? 0) + 1);
      await sleep(n % 3);
      running.delete(queue);
      if (n % 10 === 3 && runs.get(n) === 1) throw new Error("the first time");
    },
  });
  return { task, overlaps, runs: () => Array.from({ length: JOBS }, (_, n) => runs.get(n)) };
}

// One statement in four, of whatever kind, is lost before, after or while it is
// carried out, refused, or answered with rubbish. The seed decides which.
it.each([
  [1, "directly", [{ ...DIRECT }]],
  [2, "with a local queue", [{ ...LOCAL_QUEUE }]],
  [
    3,
    "directly, beside another",
    [
      { ...DIRECT, ...ALONE },
      { ...DIRECT, ...ALONE },
    ],
  ],
  [
    4,
    "with a local queue, beside another",
    [
      { ...LOCAL_QUEUE, ...ALONE },
      { ...DIRECT, ...ALONE },
    ],
  ],
])(
  "a worker over a driver that loses statements (seed %i), which claims %s, ends every job exactly once",
  async (seed, _, sources) => {
    await using database = await createDatabase();
    const clock = createShiftedClock();
    const { task, overlaps, runs } = createLedger((ms) => clock.sleep(ms));
    const drivers = sources.map((_source, index) => createLossyDriver(database.driver, seed + 1_000 * index));
    const workers = await Promise.all(
      sources.map((source, index) =>
        createTestWorker(database, { tasks: [task], driver: drivers[index], clock, concurrency: 6, ...source }),
      ),
    );
    const completed = workers.map(({ hooks }) => record(hooks, "jobComplete"));
    const failed = workers.map(({ hooks }) => record(hooks, "jobFail"));
    const refused = workers.map(({ hooks }) => record(hooks, "jobReleaseRefused"));
    // A failure whose answer is lost is sent again, and the second attempt may have ended by then.
    const unknown = workers.map(({ hooks }) => record(hooks, "jobOutcomeUnknown"));
    const count = (recorded: { readonly events: readonly unknown[] }[]) =>
      recorded.reduce((sum, { events }) => sum + events.length, 0);
    await workers[0]?.client.addJobs(
      Array.from({ length: JOBS }, (_job, n) => ({ task, payload: n, spec: n % 2 ? { queueName: `q${n % 14}` } : {} })),
    );

    for (const driver of drivers) driver.loseOneIn(4);
    const running = workers.map((worker) => worker.run());
    await until(
      async () => {
        clock.skip(2_000);
        return (await database.sql("select from howdah._private_jobs")).length === 0;
      },
      { message: "the last job to be done", deadlineMs: 80_000 },
    );
    for (const driver of drivers) driver.loseOneIn(0);
    await until(() => count(completed) >= JOBS);
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(running);

    expect(runs()).toEqual(Array.from({ length: JOBS }, (_job, n) => (n % 10 === 3 ? 2 : 1)));
    expect([count(completed), count(failed) + count(unknown), count(refused)]).toEqual([JOBS, JOBS / 10, 0]);
    const failedOnce = [...failed, ...unknown].flatMap(({ events }) => events.map(({ job }) => job.payload));
    expect(new Set(failedOnce)).toEqual(new Set(Array.from({ length: JOBS / 10 }, (_job, n) => 10 * n + 3)));
    expect(overlaps).toEqual([]);
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
    const lost = drivers.flatMap((driver) => Object.values(driver.lost));
    expect(lost.reduce((sum, times) => sum + times)).toBeGreaterThan(0);
  },
  90_000,
);
