import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adoptSchema, describeAdoption } from "../../../src/postgres/layout/adopt-schema.ts";
import { ownSchema } from "../../../src/postgres/layout/own-schema.ts";
import { releaseSchema } from "../../../src/postgres/layout/release-schema.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { createSchema, type Schema } from "../../../src/postgres/schema.ts";
import { readSchemaState } from "../../../src/postgres/schema-revision.ts";
import { brokenDriver } from "../../harness/broken-driver.ts";
import { createDatabase } from "../../harness/database.ts";
import { describeSchema } from "../../harness/describe-schema.ts";
import { until } from "../../harness/until.ts";
import { foreignClaimSql, foreignCompleteSql, foreignSchemaSql } from "../../harness/foreign-schema.ts";

const LATEST = migrations.length;

const database = await createDatabase({ migrate: false });
const { driver, connectionString } = database;
afterAll(() => database.drop());

let schemaCount = 0;
async function foreignSchema(): Promise<Schema> {
  schemaCount += 1;
  const schema = createSchema(`beside_${schemaCount}`);
  await database.sql(foreignSchemaSql(schema.name));
  return schema;
}

/** What another job queue does all the time: adds, claims, completes. Counts what it has done. */
function traffic(schema: Schema): { stop(): Promise<{ added: number; completed: number }> } {
  let isStopped = false;
  // A call of their functions that began before the tables have their new columns is refused as a whole.
  const add = (): Promise<number> =>
    database.sql(`select ${schema.of("add_job")}('t', '{}', 'queue')`).then(
      () => 1,
      (error: { code?: string }) => {
        if (error.code === "42804") return 0;
        throw error;
      },
    );
  const producer = (async () => {
    let added = 0;
    while (!isStopped) added += await add();
    return added;
  })();
  const consumer = (async () => {
    let completed = 0;
    while (!isStopped) {
      for (const { id } of await database.sql(foreignClaimSql(schema.name, { worker: "pool-1" }))) {
        await database.sql(foreignCompleteSql(schema.name, { worker: "pool-1", id: String(id) }));
        completed += 1;
      }
    }
    return completed;
  })();
  return {
    async stop() {
      isStopped = true;
      return { added: await producer, completed: await consumer };
    },
  };
}

async function countJobs(schema: Schema): Promise<number> {
  const [row] = await database.sql(`select count(*)::integer as n from ${schema.of("_private_jobs")}`);
  return row?.["n"] as number;
}

describe("adopting a schema", () => {
  it("goes on beside adds, claims and completions of its makers, and loses none", async () => {
    const schema = await foreignSchema();
    const busy = traffic(schema);
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toMatchObject({ revision: LATEST });
    const { added, completed } = await busy.stop();
    expect(completed).toBeGreaterThan(0);
    expect(await countJobs(schema)).toBe(added - completed);
  });

  it("in three processes at once succeeds in each, and is done once", async () => {
    const schema = await foreignSchema();
    const drivers = [1, 2, 3].map(() => pgDriver({ connectionString }));
    const results = await Promise.all(drivers.map((own) => adoptSchema({ driver: own, schema, watchMs: 0 })));
    for (const { revision } of results) expect(revision).toBe(LATEST);
    expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    await Promise.all(drivers.map((own) => own.close()));
  });

  it("gives up when a table stays locked, lets others pass meanwhile, and can be done later", async () => {
    const schema = await foreignSchema();
    const before = await describeSchema(database, schema.name);
    const user = await database.connect();
    await user.query("begin");
    await user.query(`select from ${schema.of("_private_jobs")}`);
    const adopting = adoptSchema({ driver, schema, lockTimeoutMs: 20, attempts: 3, watchMs: 0 });
    // Handled below; until then it is not lost.
    const refused = adopting.then(
      () => undefined,
      (error: unknown) => error,
    );
    await database.sql(`select ${schema.of("add_job")}('t')`);
    expect(await refused).toMatchObject({
      code: "HOWDAH_SCHEMA_BUSY",
      message: expect.stringContaining("idle in transaction"),
    });
    expect(await describeSchema(database, schema.name)).toEqual(before);
    await user.query("commit");
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toMatchObject({ revision: LATEST });
  });

  it("marks a job that had failed for good once the transaction that has locked it has ended", async () => {
    const schema = await foreignSchema();
    await database.sql(`select ${schema.of("add_job")}('t', max_attempts => 1)`);
    await database.sql(`update ${schema.of("_private_jobs")} set attempts = 1`);
    const [columns = ""] = (await describeAdoption({ driver, schema }))?.split(/(?<=^commit;)/m) ?? [];
    await database.sql(columns);
    const user = await database.connect();
    await user.query("begin");
    await user.query(`select from ${schema.of("_private_jobs")} for update`);
    const adopting = adoptSchema({ driver, schema, watchMs: 0 });
    const failed = `select from ${schema.of("_private_jobs")} where _howdah_exhausted`;
    await until(async () => (await database.sql(WAITING, [`howdah layout ${schema.name}`])).length > 0);
    expect(await database.sql(failed)).toHaveLength(0);
    await user.query("commit");
    expect(await adopting).toMatchObject({ revision: LATEST });
    expect(await database.sql(failed)).toHaveLength(1);
  });
});

/** Whether another session adopts the schema at this moment. */
const WAITING = `
select from pg_locks where locktype = 'advisory' and granted
  and (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0)`;

/** Does `work` again and again, killed at the first statement, then at the second, until it gets through. */
async function killedAtEach(
  work: (broken: typeof driver) => Promise<unknown>,
  check: () => Promise<void>,
): Promise<number> {
  for (let dieAt = 1; ; dieAt += 1) {
    const broken = brokenDriver(driver, dieAt);
    const outcome = await work(broken).then(
      () => "done",
      (error: unknown) => String(error),
    );
    await check();
    if (outcome === "done") return dieAt;
    expect(outcome).toContain("killed at statement");
  }
}

describe("a process that is killed at each of its statements in turn", () => {
  let schema: Schema;
  let before: string[];
  beforeAll(async () => {
    schema = await foreignSchema();
    before = await describeSchema(database, schema.name);
  });

  /** The workers of its makers need nothing else. */
  async function servesOthers(): Promise<void> {
    await database.sql(`select ${schema.of("add_job")}('t')`);
    const [job] = await database.sql(foreignClaimSql(schema.name, { worker: "pool-1" }));
    await database.sql(foreignCompleteSql(schema.name, { worker: "pool-1", id: String(job?.["id"]) }));
    expect(await countJobs(schema)).toBe(0);
  }

  it("while it adopts, does not affect its makers, and the next one goes on from there", async () => {
    expect(
      await killedAtEach((broken) => adoptSchema({ driver: broken, schema, watchMs: 0 }), servesOthers),
    ).toBeGreaterThan(20);
    expect(await readSchemaState(driver, schema)).toMatchObject({ revision: LATEST, layout: "shared" });
  });

  it("while it makes the schema Howdah's own, changes nothing until all of it is done", async () => {
    const adopted = await describeSchema(database, schema.name);
    await killedAtEach(
      (broken) => ownSchema({ driver: broken, schema }),
      async () => {
        const { layout } = await readSchemaState(driver, schema);
        if (layout === "shared") expect(await describeSchema(database, schema.name)).toEqual(adopted);
      },
    );
    expect(await readSchemaState(driver, schema)).toMatchObject({ revision: LATEST, layout: "owned" });
  });

  it("while it releases, changes nothing until all of it is done", async () => {
    const owned = await describeSchema(database, schema.name);
    await killedAtEach(
      (broken) => releaseSchema({ driver: broken, schema }),
      async () => {
        const { isOurs } = await readSchemaState(driver, schema);
        if (isOurs) expect(await describeSchema(database, schema.name)).toEqual(owned);
      },
    );
    expect(await describeSchema(database, schema.name)).toEqual(before);
    await servesOthers();
  });
});
