import { afterAll, expect, it } from "vitest";
import { createWorker, defineTask } from "../../../src/index.ts";
import { adoptSchema } from "../../../src/postgres/layout/adopt-schema.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createSchema } from "../../../src/postgres/schema.ts";
import { createDatabase } from "../../harness/database.ts";
import { foreignClaimSql, foreignCompleteSql, foreignSchemaSql } from "../../harness/foreign-schema.ts";

const database = await createDatabase({ migrate: false });
const { driver, connectionString } = database;
afterAll(() => database.drop());

let schemaCount = 0;
async function adoptedSchema(): Promise<ReturnType<typeof createSchema>> {
  schemaCount += 1;
  const schema = createSchema(`shared_${schemaCount}`);
  await database.sql(foreignSchemaSql(schema.name));
  await adoptSchema({ driver, schema, watchMs: 0 });
  await database.sql(
    `create table ${schema.of("runs")} (n integer, queue integer, who text, began timestamptz, ended timestamptz)`,
  );
  return schema;
}

const QUEUES = 5;
const JOBS = 300;

it.each([
  ["directly", {}],
  ["from a local queue", { localQueue: { size: 20 } }],
])("a fleet of both runs each job once and no queue twice at a time, with ours taking jobs %s", async (_, options) => {
  const schema = await adoptedSchema();
  const runs = schema.of("runs");
  const isLeft = `select from ${schema.of("_private_jobs")} limit 1`;
  await database.sql(
    `select ${schema.of("add_job")}('t', json_build_object('n', n, 'queue', n % ${QUEUES}), 'queue' || n % ${QUEUES})
     from generate_series(1, ${JOBS}) as n`,
  );

  async function work(who: string, { n, queue }: { n: number; queue: number }): Promise<void> {
    await database.sql(`insert into ${runs} values ($1, $2, $3, clock_timestamp())`, [n, queue, who]);
    await systemClock.sleep(1);
    await database.sql(`update ${runs} set ended = clock_timestamp() where n = $1 and who = $2`, [n, who]);
  }
  /** One worker of another job queue. */
  async function other(worker: string): Promise<void> {
    while ((await database.sql(isLeft)).length > 0) {
      const [job] = await database.sql(foreignClaimSql(schema.name, { worker }));
      if (!job) {
        await systemClock.sleep(5);
        continue;
      }
      const [row] = await database.sql(`select payload from ${schema.of("_private_jobs")} where id = $1`, [job["id"]]);
      await work(worker, row?.["payload"] as { n: number; queue: number });
      await database.sql(foreignCompleteSql(schema.name, { worker, id: String(job["id"]) }));
    }
  }

  const task = defineTask({
    identifier: "t",
    run: (payload: { n: number; queue: number }) => work("howdah", payload),
  });
  const worker = await createWorker({
    connectionString,
    schema: schema.name,
    tasks: [task],
    concurrency: 3,
    pollInterval: "50ms",
    ...options,
  });
  const running = worker.run();
  await Promise.all([other("pool-1"), other("pool-2")]);
  await worker.stop();
  await running;

  const [counted] = await database.sql(`
    select count(*)::integer as runs, count(distinct n)::integer as jobs,
      count(*) filter (where who = 'howdah') > 0 as ours, count(*) filter (where who <> 'howdah') > 0 as theirs
    from ${runs}`);
  expect(counted).toEqual({ runs: JOBS, jobs: JOBS, ours: true, theirs: true });
  const overlaps = await database.sql(`
    select a.n, a.who, b.n, b.who from ${runs} as a
    join ${runs} as b on b.queue = a.queue and b.n > a.n and b.began < a.ended and a.began < b.ended`);
  expect(overlaps).toEqual([]);
});

it("claims find their jobs by the indexes of Howdah, as in its own layout", async () => {
  const schema = await adoptedSchema();
  await database.sql(
    `select ${schema.of("add_job")}('t', run_at => now() + interval '1 day') from generate_series(1, 5000)`,
  );
  await database.sql(`select ${schema.of("add_job")}('t') from generate_series(1, 10)`);
  const session = await database.connect();
  await session.query("set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off");
  const { rows } = await session.query(`
    explain select id from ${schema.of("_private_jobs")}
    where job_queue_id is null and not _howdah_exhausted and priority = 0 and run_at <= now()
    order by run_at, id limit 10`);
  expect(JSON.stringify(rows)).toContain(" using _howdah_ready on ");
});
