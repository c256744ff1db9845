import type { Driver } from "../../src/postgres/driver.ts";
import type { Events } from "../../src/hooks/events.ts";
import { createManualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { Worker } from "../../src/worker/worker.ts";
import { defineTask } from "../../src/job/task.ts";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";
import { createTestWorker, record, type Recorded } from "./worker.ts";

/** A worker that runs under a clock of its own, and what its crontab does. */
export interface CronWorker extends AsyncDisposable {
  readonly worker: Worker;
  readonly clock: ManualClock;
  readonly ticks: Recorded<"cronTick">;
  readonly scheduled: Recorded<"cronJobScheduled">;
  readonly errors: Recorded<"workerError">;
  /** Lets time pass up to this moment. */
  advanceTo(time: string): Promise<void>;
  /** Resolves when the worker has looked at its crontab once more, at the time that it is now. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

/** A task that no crontab of these tests names, so that their jobs stay where they are. */
export const bystander = defineTask({ identifier: "bystander", run() {} });

/**
 * Runs a worker whose clock begins at `at`, over the driver of the database,
 * whose own time is the real one. Resolves when it has begun to look at its
 * crontab.
 */
export async function runCronWorker(
  database: TestDatabase,
  at: string | number,
  options: Partial<WorkerOptions>,
): Promise<CronWorker> {
  const clock = createManualClock(new Date(at).getTime());
  const { driver, underWay } = watched(options.driver ?? database.driver);
  const worker = await createTestWorker(database, {
    tasks: [bystander],
    clock,
    pollInterval: "1h",
    // Its heartbeats would time out whenever the clock moves faster than the database answers.
    recovery: false,
    ...options,
    driver,
  });
  const [ticks, scheduled, errors] = [
    record(worker.hooks, "cronTick"),
    record(worker.hooks, "cronJobScheduled"),
    record(worker.hooks, "workerError"),
  ];
  const started = record(worker.hooks, "workerStart");
  const running = worker.run();
  await started.reach();

  async function settled(): Promise<void> {
    // Whatever the worker does, it waits either for the database or for a timer.
    await until(async () => {
      await clock.advance(0);
      return underWay() === 0;
    });
  }

  async function stop(): Promise<void> {
    const stopping = worker.stop();
    // Its last timers stand still unless the test moves them.
    while (!(await Promise.race([stopping.then(() => true), clock.advance(1_000).then(() => false)])));
    await running;
  }

  return {
    worker,
    clock,
    ticks,
    scheduled,
    errors,
    settled,
    stop,
    advanceTo: (time) => clock.advance(new Date(time).getTime() - clock.now()),
    [Symbol.asyncDispose]: stop,
  };
}

/** A driver that tells how many statements are under way. */
function watched(driver: Driver): { readonly driver: Driver; underWay(): number } {
  let count = 0;
  const counted = async <T>(work: Promise<T>): Promise<T> => {
    count += 1;
    try {
      return await work;
    } finally {
      count -= 1;
    }
  };
  return {
    underWay: () => count,
    driver: {
      query: (query) => counted(driver.query(query)),
      transaction: (work) => counted(driver.transaction(work)),
      listen: (channels, handlers) => driver.listen(channels, handlers),
      close: () => driver.close(),
    },
  };
}

/** A job that a crontab has added. */
export interface CronJob {
  readonly id: string;
  readonly runAt: string;
  readonly payload: { readonly _cron: { readonly ts: string; readonly backfilled: boolean } };
  readonly key: string | null;
}

/** The jobs of a task that are stored, by their time. */
export async function jobsOf(database: TestDatabase, task: string): Promise<CronJob[]> {
  const rows = await database.sql(
    `select job.id, job.run_at, job.payload, job.key
     from howdah._private_jobs as job join howdah._private_tasks as task on task.id = job.task_id
     where task.identifier = $1 order by job.run_at, job.id`,
    [task],
  );
  return rows.map((row) => ({ ...(row as CronJob), runAt: (row["run_at"] as Date).toISOString() }));
}

/** When the jobs of a task were due. */
export async function ticksOf(database: TestDatabase, task: string): Promise<string[]> {
  return (await jobsOf(database, task)).map(({ payload }) => payload._cron.ts);
}

/** The ids of what was scheduled, in the order of the events. */
export function scheduledTimes({ events }: Recorded<"cronJobScheduled">): string[] {
  return events.map(({ scheduledAt }: Events["cronJobScheduled"]) => scheduledAt.toISOString());
}
