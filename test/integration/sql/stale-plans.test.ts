import { describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient, defineTask, silentLogger } from "../../../src/index.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createDatabase } from "../../harness/database.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const TABLES = [
  "_private_jobs",
  "_private_job_queues",
  "_private_tasks",
  "_private_workers",
  "_private_known_crontabs",
  "_howdah_schedules",
  "_howdah_paused_tasks",
];
const onEach = (change: (table: string) => string): string[] => TABLES.map(change);

/** Makes all functions of the schema anew, under other ids; or in place. */
const remakeFunctions = (isDropped: boolean): string => `
  do $$
  declare
    made record;
    made_anew text[];
  begin
    for made in
      select pg_get_functiondef(proc.oid) as definition, proc.oid::regprocedure as signature
      from pg_proc as proc
      where proc.pronamespace = 'howdah'::regnamespace and proc.prorettype <> 'trigger'::regtype
        -- A function of SQL that is written out depends on those that it calls.
        and proc.prosqlbody is null and proc.proname not in ('_howdah_us', '_howdah_at')
      order by proc.oid
    loop
      ${isDropped ? "execute 'drop function ' || made.signature;" : ""}
      made_anew := made_anew || made.definition;
    end loop;
    for i in 1 .. cardinality(made_anew) loop execute made_anew[i]; end loop;
  end
  $$`;

/**
 * What users, other tools and later releases do to a schema while sessions are
 * open: each a transaction that locks one table, as two may close a circle with
 * the statements of others.
 */
const changes: Readonly<Record<string, readonly string[]>> = {
  "a column is added to every table": onEach((table) => `alter table howdah.${table} add column tenant text`),
  "a column with a default is added to every table": onEach(
    (table) => `alter table howdah.${table} add column tenant uuid not null default gen_random_uuid()`,
  ),
  "a column is added and dropped again": onEach(
    (table) =>
      `alter table howdah.${table} add column tenant text; alter table howdah.${table} drop column tenant;
       alter table howdah.${table} add column other integer`,
  ),
  "columns become wider": [
    "alter table howdah._private_jobs alter column _howdah_cancelled type varchar(5000)",
    "alter table howdah._private_workers alter column _howdah_lock_key type bigint",
  ],
  "every table is renamed, and gets its name back": onEach(
    (table) => `alter table howdah.${table} rename to ${table}_x; alter table howdah.${table}_x rename to ${table}`,
  ),
  "a table is made anew": [
    `create table howdah.copy (like howdah._howdah_paused_tasks including all);
    drop table howdah._howdah_paused_tasks;
    alter table howdah.copy rename to _howdah_paused_tasks;
    alter index howdah.copy_pkey rename to _howdah_paused_tasks_pkey`,
  ],
  "every function is replaced": [remakeFunctions(false)],
  "every function is dropped and made anew": [remakeFunctions(true)],
};

/** Every method of a client that a transaction has, too. */
function methodsOf(client: Client | ReturnType<Client["inTransaction"]>) {
  const later = { runAt: "2200-01-01" };
  return {
    addPlain: () => client.addJob("note", 1),
    addQueued: () => client.addJob("note", 1, { queueName: "q" }),
    addKeyed: () => client.addJob("other", [1], { ...later, jobKey: "k" }),
    addPreserving: () => client.addJob("other", [1], { ...later, jobKey: "k", jobKeyMode: "preserve_run_at" }),
    addDeduped: () => client.addJob("other", 1, { ...later, jobKey: "k", jobKeyMode: "unsafe_dedupe" }),
    addMany: () => client.addJobs([{ identifier: "note" }, { identifier: "note" }]),
    addManyKeyed: () =>
      client.addJobs([{ identifier: "note" }, { identifier: "other", spec: { ...later, jobKey: "z" } }]),
    addIds: () => client.addJobs([{ identifier: "note" }, { identifier: "note" }], { returning: "ids" }),
    addIdsKeyed: () => client.addJobs([{ identifier: "other", spec: { ...later, jobKey: "z" } }], { returning: "ids" }),
    addBatch: () => client.addBatchJob("other", [1], later),
    removeJob: async () => expect((await client.removeJob("k"))?.task).toBe("other"),
    rescheduleJobs: () => client.rescheduleJobs(["1"], { priority: 1 }),
    permanentlyFailJobs: () => client.permanentlyFailJobs(["1"]),
    completeJobs: () => client.completeJobs(["1"]),
    forceUnlockWorkers: () => client.forceUnlockWorkers(["missing"]),
  };
}

/** Those that only a client has. */
function otherMethodsOf(client: Client) {
  return {
    getJob: () => client.getJob("1"),
    explainJob: () => client.explainJob("1"),
    listRunning: () => client.listJobs({ state: "running" }),
    listJobs: () => client.listJobs({ state: "scheduled" }),
    stats: () => client.stats(),
    listQueues: () => client.listQueues(),
    listErrors: () => client.listErrors(),
    statsByTask: () => client.stats({ by: "task" }),
    cancelJobs: () => client.cancelJobs(["1"]),
    cancelJobsByFilter: () => client.cancelJobs({ task: "none" }),
    previewJobs: () => client.retryJobs({ task: "other" }, { dryRun: true }),
    listOperations: () => client.operations.list(),
    pauseQueue: () => client.pauseQueue("paused"),
    pauseTask: () => client.pauseTask("paused"),
    listPauses: () => client.listPauses(),
    resumeQueue: () => client.resumeQueue("paused"),
    resumeTask: () => client.resumeTask("paused"),
    upsertSchedule: () => client.schedules.upsert({ id: "s", task: "other", schedule: "* * * * *" }),
    pauseSchedule: () => client.schedules.pause("s"),
    resumeSchedule: () => client.schedules.resume("s"),
    listSchedules: () => client.schedules.list(),
    triggerSchedule: () => client.schedules.trigger("s"),
    removeSchedule: () => client.schedules.remove("s"),
    listSamples: () => client.listSamples(),
    listTaskSamples: () => client.listTaskSamples(),
    listActiveWorkers: () => client.listActiveWorkers(),
    listIdleWorkers: () => client.listIdleWorkers(),
    sweepStaleWorkers: () => client.sweepStaleWorkers({ dryRun: true }),
    cleanup: () => client.cleanup(["permanentlyFailedJobs", "unusedQueues"]),
  };
}

/** Calls one after another, and says what was refused. */
async function refusedOf(methods: Readonly<Record<string, () => Promise<unknown>>>): Promise<string[]> {
  const refused: string[] = [];
  for (const [name, call] of Object.entries(methods)) {
    await call().catch((error: unknown) => void refused.push(`${name}: ${String(error)}`));
  }
  return refused;
}

describe.each(Object.entries(changes))("with open sessions, after %s", (_, statements) => {
  it("refuses no call of a client, of a transaction or of SQL, and lets workers go on", async () => {
    await using database = await createDatabase();
    await using client = await createClient({
      connectionString: database.connectionString,
      migrate: false,
      maxConnections: 1,
      logger: silentLogger,
    });
    const session = await database.connect();
    const logger = createRecordingLogger();
    const failing = defineTask({
      identifier: "fails",
      retry: { type: "fixed", delay: 0 },
      run: () => {
        throw new Error("no");
      },
    });
    const note = defineTask({
      identifier: "note",
      run: async (payload: unknown, { withTransaction, complete }) => {
        if (payload === "exactly once") await withTransaction((transaction) => complete(transaction));
      },
    });
    await using worker = await createTestWorker(database, { tasks: [note, failing], logger, maxConnections: 4 });
    const completed = record(worker.hooks, "jobComplete");
    const failed = record(worker.hooks, "jobPermanentlyFail");
    const running = worker.run();

    const inTransaction = async (): Promise<string[]> => {
      await session.query("begin");
      const refused = await refusedOf(methodsOf(client.inTransaction(session)));
      await session.query("commit");
      return refused;
    };
    const inSql = () =>
      refusedOf({
        addJob: () => session.query("select * from howdah.add_job('other', job_key => 'sql', run_at => '2200-01-01')"),
        addJobs: () => session.query("select * from howdah.add_jobs('{\"(other,,,2200-01-01,,bulk,,)\"}')"),
        removeJob: () => session.query("select * from howdah.remove_job('sql')"),
        failJobs: () => session.query("select * from howdah.permanently_fail_jobs('{1}')"),
        reschedule: () => session.query("select * from howdah.reschedule_jobs('{1}')"),
        complete: () => session.query("select * from howdah.complete_jobs('{1}')"),
      });
    const inWorker = async (): Promise<string[]> => {
      const expected = completed.events.length + 3;
      const failures = failed.events.length + 1;
      return refusedOf({
        addPlain: () => worker.client.addJob("note", 1),
        addQueued: () => worker.client.addJob("note", 1, { queueName: "of workers" }),
        addCompleting: () => worker.client.addJob("note", "exactly once"),
        addFailing: () => worker.client.addJob("fails", {}, { maxAttempts: 2 }),
        ends: () => Promise.all([completed.reach(expected), failed.reach(failures)]),
      });
    };
    const everything = async (): Promise<string[]> => [
      ...(await refusedOf({ ...methodsOf(client), ...otherMethodsOf(client) })),
      ...(await inTransaction()),
      ...(await inSql()),
      ...(await inWorker()),
    ];

    expect(await everything()).toEqual([]);
    expect(await everything()).toEqual([]);
    for (const statement of statements) await database.sql(statement);
    expect(await everything()).toEqual([]);
    expect(await everything()).toEqual([]);

    await worker.stop();
    await running;
    expect(logger.messages("error").filter((said) => said !== "A job failed for good")).toEqual([]);
    expect(logger.messages("warn").filter((said) => !said.startsWith("A job failed"))).toEqual([]);
  });
});

describe("what is not supported for another reason than a stale plan", () => {
  it("is refused without preparing anything anew, however often", async () => {
    await using database = await createDatabase();
    await database.sql(`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'not here' using errcode = 'feature_not_supported'; end $$;
      create trigger refuse before insert on howdah._private_jobs for each row execute function refuse()`);
    const { connectionString } = database;
    const driver = pgDriver({ connectionString });
    const client = await createClient({ driver, schema: database.schema.name, migrate: false, logger: silentLogger });
    const prepared = async (): Promise<number> =>
      Number((await driver.query({ text: "select count(*) from pg_prepared_statements" })).rows[0]?.[0]);
    const add = (): Promise<unknown> => client.addJob("refused", {}).catch((error: unknown) => error);
    expect(await add()).toMatchObject({ code: "HOWDAH_DATABASE_ERROR" });
    const before = await prepared();
    for (let time = 0; time < 5; time += 1) await add();
    expect(before).toBeGreaterThan(0);
    expect(await prepared()).toBe(before);
    await client.close();
    await driver.close();
  });
});
