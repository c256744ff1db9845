import type { RecoveryOptions } from "../../src/job/recover/options.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { TestDatabase } from "./database.ts";
import { startNode, type TestProcess } from "./process.ts";
import { until } from "./until.ts";

/** For workers that watch others: everything fast. */
export const FAST_RECOVERY: RecoveryOptions = {
  heartbeatInterval: "500ms",
  sweepInterval: "100ms",
  watchTime: "300ms",
  sweepThreshold: "5m",
  contactTimeout: "1s",
  queueDelay: "2s",
  recoveryDelay: 0,
};

/** For workers that run queued jobs and must live, however slow the machine is. */
export const PATIENT_RECOVERY: RecoveryOptions = { ...FAST_RECOVERY, contactTimeout: "1m", queueDelay: "1m" };

/** What a worker of `fixtures/recovery-worker.mjs` said. */
export interface Told {
  readonly kind: string;
  readonly [name: string]: unknown;
}

/** A worker in a process of its own, which may be killed. */
export interface WorkerProcess extends TestProcess {
  /** The id that it started with. */
  readonly workerId: string;
  /** All that it has said of this kind. */
  told(kind: string): Told[];
  /** Waits until it has said something of this kind that matches. */
  tells(kind: string, match?: Readonly<Record<string, unknown>>): Promise<Told>;
}

/** Starts a worker process and waits until it runs. */
export async function startWorkerProcess(
  database: TestDatabase,
  { taskNames, ...options }: Partial<WorkerOptions> & { readonly taskNames: readonly string[] },
): Promise<WorkerProcess> {
  const given = {
    connectionString: database.connectionString,
    schema: database.schema.name,
    pollInterval: "100ms",
    recovery: PATIENT_RECOVERY,
    taskNames,
    ...options,
  };
  const script = new URL("../integration/fixtures/recovery-worker.mjs", import.meta.url);
  const process = await startNode(script, { args: [JSON.stringify(given)] });
  const told = (kind: string): Told[] =>
    process.lines.map((line) => JSON.parse(line) as Told).filter((event) => event.kind === kind);
  const tells = (kind: string, match: Readonly<Record<string, unknown>> = {}): Promise<Told> =>
    until(() => told(kind).find((event) => Object.entries(match).every(([name, value]) => event[name] === value)), {
      message: `${kind} ${JSON.stringify(match)}`,
      deadlineMs: 30_000,
    });
  await process.line('"started"', 30_000);
  return Object.assign(process, { told, tells, workerId: String(told("started")[0]?.["workerId"]) });
}

/** What is registered under this id; `undefined` when nothing is. */
export async function registered(database: TestDatabase, workerId: string) {
  const [row] = await database.sql(
    `select worker.*, seen.lock from howdah._private_workers as worker
     join howdah._howdah_workers_v1() as seen on seen.id = worker.id where worker.id = $1`,
    [workerId],
  );
  return row;
}

/** Waits until the database shows the lock of this worker's session. */
export async function locked(database: TestDatabase, workerId: string): Promise<void> {
  await until(async () => (await registered(database, workerId))?.["lock"] === "held", {
    message: `the session lock of ${workerId}`,
  });
}

/** Adds a job that this id holds, with its queue. It is not released. */
export async function addDeadJob(
  database: TestDatabase,
  workerId: string,
  {
    task = "quick",
    queueName = null,
    changes = "attempts = 1",
  }: {
    readonly task?: string;
    readonly queueName?: string | null;
    readonly changes?: string;
  } = {},
): Promise<string> {
  const [job] = await database.sql("select id from howdah.add_job($1, '{}', queue_name => $2)", [task, queueName]);
  const id = String(job?.["id"]);
  await database.sql(`update howdah._private_jobs set locked_at = now(), locked_by = $2, attempts = 1 where id = $1`, [
    id,
    workerId,
  ]);
  await database.sql(`update howdah._private_jobs set ${changes} where id = $1`, [id]);
  await database.sql(`update howdah._private_job_queues set locked_at = now(), locked_by = $2 where queue_name = $1`, [
    queueName,
    workerId,
  ]);
  return id;
}

/** Registers an id that has just died: its session's lock is gone, its heart has stopped. */
export async function registerDead(database: TestDatabase, workerId: string): Promise<void> {
  await database.sql(
    `insert into howdah._private_workers (id, last_heartbeat_at, _howdah_lock_key, _howdah_lock_pid)
     values ($1, now(), 1, 1)`,
    [workerId],
  );
}
