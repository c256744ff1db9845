import { afterAll, describe, expect, it } from "vitest";
import { createClient, createWorker, defineTask, migrate, silentLogger } from "../../../src/index.ts";
import { adoptSchema } from "../../../src/postgres/layout/adopt-schema.ts";
import { ownSchema, planOwning } from "../../../src/postgres/layout/own-schema.ts";
import { releaseSchema } from "../../../src/postgres/layout/release-schema.ts";
import { applyMigrations } from "../../../src/postgres/apply-migrations.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { createSchema, type Schema } from "../../../src/postgres/schema.ts";
import { readSchemaState } from "../../../src/postgres/schema-revision.ts";
import { createDatabase } from "../../harness/database.ts";
import { describeSchema } from "../../harness/describe-schema.ts";
import { foreignClaimSql, foreignSchemaSql, type ForeignSchemaOptions } from "../../harness/foreign-schema.ts";

const LATEST = migrations.length;

const database = await createDatabase({ migrate: false });
const { driver, connectionString } = database;
afterAll(() => database.drop());

let schemaCount = 0;
async function adoptedSchema(options?: ForeignSchemaOptions): Promise<{ schema: Schema; before: string[] }> {
  schemaCount += 1;
  const schema = createSchema(`own_${schemaCount}`);
  await database.sql(foreignSchemaSql(schema.name, options));
  await database.sql(`alter table ${schema.of("_private_jobs")} set (fillfactor = 70)`);
  const before = await describeSchema(database, schema.name);
  await adoptSchema({ driver, schema, watchMs: 0 });
  return { schema, before };
}

describe("a schema that is made Howdah's own", () => {
  it("keeps its jobs, has the layout of a fresh one, and workers use it", async () => {
    const { schema } = await adoptedSchema();
    await database.sql(`select ${schema.of("add_job")}('t', '{}', 'queue') from generate_series(1, 3)`);
    await database.sql(`insert into ${schema.of("_private_jobs")} (task_id, attempts) values (0, 25)`);
    expect(await ownSchema({ driver, schema })).toEqual({ revision: LATEST, applied: [] });
    expect(await readSchemaState(driver, schema)).toMatchObject({ layout: "owned", isAdopted: true });
    const fresh = createSchema(`fresh_${schema.name}`);
    await applyMigrations({ driver, schema: fresh });
    const linesOf = async ({ name }: Schema): Promise<Set<string>> =>
      new Set((await describeSchema(database, name)).map((line) => line.replaceAll(name, "same")));
    const [owned, made] = [await linesOf(schema), await linesOf(fresh)];
    const lacking = [...made].filter((line) => !owned.has(line));
    // The order of columns is that in which they came; one has another name.
    expect(lacking.filter((line) => !/^(column \w+ \d+ |constraint .* NOT NULL)/.test(line))).toEqual([]);
    let done = 0;
    const task = defineTask({ identifier: "t", run: () => void (done += 1) });
    const worker = await createWorker({ connectionString, schema: schema.name, tasks: [task] });
    await worker.runOnce();
    await worker.stop();
    expect(done).toBe(3);
    expect(await ownSchema({ driver, schema })).toEqual({ revision: LATEST, applied: [] });
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toEqual({ revision: LATEST, applied: [] });
  });

  it("lets the next claim of another job queue fail, and its workers refuse to start", async () => {
    const { schema } = await adoptedSchema();
    await ownSchema({ driver, schema });
    await expect(database.sql(foreignClaimSql(schema.name, { worker: "pool-1" }))).rejects.toThrow(
      "column queue.is_available does not exist",
    );
    expect(await database.sql(`select max(id) > 20 as newer from ${schema.of("migrations")} where breaking`)).toEqual([
      { newer: true },
    ]);
  });

  it.each<[string, ForeignSchemaOptions]>([
    ["graphile-worker at its migration 16", { ledger: 16 }],
    ["graphile-worker at its migration 20", { ledger: 20 }],
    ["graphile_worker_rs", { ledger: 20, maker: "rust" }],
  ])("is released to what it was when %s had made it", async (_, options) => {
    const { schema, before } = await adoptedSchema(options);
    await ownSchema({ driver, schema });
    await releaseSchema({ driver, schema });
    expect(await describeSchema(database, schema.name)).toEqual(before);
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toMatchObject({ revision: LATEST });
  });

  it("is told before what is seen of workers of others, and how large it is", async () => {
    const { schema } = await adoptedSchema();
    await database.sql(`select ${schema.of("add_job")}('t', '{}', 'queue')`);
    await database.sql(foreignClaimSql(schema.name, { worker: "pool-1" }));
    await database.sql(`insert into ${schema.of("_private_workers")} values ('graphile_worker_1', now())`);
    const listener = await database.connect();
    await listener.query('LISTEN "jobs:insert"; LISTEN "worker:migrate";');
    const plan = await planOwning({ driver, schema });
    expect(plan).toMatchObject({ isOwned: false, bytes: expect.any(Number) });
    expect(plan.seconds).toBeGreaterThan(0);
    expect(plan.traces).toMatchObject({ holders: ["pool-1"], registered: ["graphile_worker_1"], hiddenSessions: 0 });
    expect(plan.traces.sessions.length).toBeGreaterThan(0);
    const said: string[] = [];
    const ignore = (): void => {};
    const logger = { debug: ignore, info: ignore, warn: (text: string) => void said.push(text), error: ignore };
    await ownSchema({ driver, schema, logger });
    expect(said).toEqual([
      expect.stringContaining("still locked by pool-1"),
      expect.stringMatching(/claim nothing any more.*\d+ sessions or registrations/),
    ]);
    await listener.end();
    expect(await planOwning({ driver, schema })).toMatchObject({ isOwned: true });
  });
});

describe("a schema that is released", () => {
  it("gives queues with rules to workers of its makers, as serial ones", async () => {
    const { schema } = await adoptedSchema();
    const options = { connectionString: database.connectionString, schema: schema.name, migrate: false };
    await using client = await createClient({ ...options, logger: silentLogger });
    await client.setQueueRules("tenant:*", { concurrency: 2, rate: { limit: 1, per: "1h" } });
    await client.addJob("t", {}, { queueName: "tenant:1" });
    await client.addJob("t", {}, { queueName: "tenant:1" });
    expect(await database.sql(foreignClaimSql(schema.name, { worker: "pool-1", limit: 10 }))).toEqual([]);
    await releaseSchema({ driver, schema });
    expect(await database.sql(foreignClaimSql(schema.name, { worker: "pool-1", limit: 1 }))).toHaveLength(1);
  });

  it("by two at once, is so once, and a release beside it ends in one of the two layouts, with all jobs", async () => {
    const { schema, before } = await adoptedSchema();
    await database.sql(`select ${schema.of("add_job")}('t', to_json(n)) from generate_series(1, 3) as n`);
    const own = () => ownSchema({ driver, schema });
    const release = () => releaseSchema({ driver, schema });
    expect(await Promise.all([own(), own()])).toEqual([
      { revision: LATEST, applied: [] },
      { revision: LATEST, applied: [] },
    ]);
    expect(await readSchemaState(driver, schema)).toMatchObject({ layout: "owned", isAdopted: true });
    const ended = await Promise.allSettled([own(), release(), own()]);
    const isReleased = (await describeSchema(database, schema.name)).join("\n") === before.join("\n");
    if (!isReleased) expect(await readSchemaState(driver, schema)).toMatchObject({ layout: "owned" });
    // Who comes after the release finds a schema that is not Howdah's, and says so.
    for (const outcome of ended) {
      if (outcome.status === "rejected")
        expect(outcome.reason).toMatchObject({ code: expect.stringMatching(/^HOWDAH_/) });
    }
    expect(await database.sql(`select payload::text from ${schema.of("_private_jobs")} order by id`)).toEqual(
      ["1", "2", "3"].map((payload) => ({ payload })),
    );
  });

  it("gives back what workers of Howdah that are gone held, and is refused while one runs", async () => {
    const { schema } = await adoptedSchema();
    const id = "howdah_0123456789abcdef01";
    await database.sql(`select ${schema.of("add_job")}('t', '{}', 'queue')`);
    await database.sql(`insert into ${schema.of("_private_workers")} values ($1, now())`, [id]);
    await database.sql(`update ${schema.of("_private_jobs")} set locked_at = now(), locked_by = $1, attempts = 1`, [
      id,
    ]);
    await database.sql(`update ${schema.of("_private_job_queues")} set locked_at = now(), locked_by = $1`, [id]);
    await expect(releaseSchema({ driver, schema })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_BUSY",
      message: expect.stringContaining(id),
    });
    await database.sql(`update ${schema.of("_private_workers")} set last_heartbeat_at = now() - interval '1 minute'`);
    await releaseSchema({ driver, schema });
    const [claimed] = await database.sql(foreignClaimSql(schema.name, { worker: "pool-1" }));
    expect(claimed).toBeDefined();
    expect(await database.sql(`select attempts from ${schema.of("_private_jobs")}`)).toEqual([{ attempts: 1 }]);
  });

  it("may be released again, and one that was never adopted may not", async () => {
    const { schema } = await adoptedSchema();
    const { name } = schema;
    expect(await migrate({ connectionString, schema: name, release: true })).toEqual({ revision: 0, applied: [] });
    expect(await migrate({ connectionString, schema: name, release: true })).toEqual({ revision: 0, applied: [] });
    await migrate({ connectionString, schema: "never_adopted" });
    await expect(migrate({ connectionString, schema: "never_adopted", release: true })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining("was not adopted"),
    });
  });
});
