import { describe, expect, it } from "vitest";
import { createWorker, defineTasks, migrate, silentLogger } from "../../../src/index.ts";
import { adoptSchema } from "../../../src/postgres/layout/adopt-schema.ts";
import type { LayoutChanges } from "../../../src/postgres/layout/change-layout.ts";
import type { TestDatabase } from "../../harness/database.ts";
import { loadRelease, type TheirOptions } from "../graphile-worker.ts";
import { createForeignDatabase, JOBS, KINDS, OBJECTS } from "./foreign-database.ts";

const change = (database: TestDatabase, how: LayoutChanges) =>
  migrate({ connectionString: database.connectionString, schema: "howdah", logger: silentLogger, ...how });
/** Does not wait for sessions of others, of which there are none. */
const adopt = ({ driver, schema }: TestDatabase) => adoptSchema({ driver, schema, watchMs: 0 });

const ledgerOf = (database: TestDatabase) => database.sql("select id, breaking from howdah.migrations order by id");

/** Runs what is due of the task t with Howdah, and returns the payloads. */
async function runOurs(database: TestDatabase): Promise<unknown[]> {
  const ran: unknown[] = [];
  await using worker = await createWorker({
    connectionString: database.connectionString,
    schema: "howdah",
    migrate: false,
    logger: silentLogger,
    tasks: defineTasks({ t: (payload) => void ran.push(payload) }),
    shutdown: { osSignals: false },
  });
  await worker.runOnce();
  return ran.toSorted((a, b) => Number(a) - Number(b));
}

async function theirOptions(database: TestDatabase): Promise<TheirOptions> {
  const { Logger } = await loadRelease();
  return {
    connectionString: database.connectionString,
    schema: "howdah",
    logger: new Logger(() => () => {}),
    noHandleSignals: true,
  };
}

describe.each(KINDS)("a schema of $name", (kind) => {
  it("is adopted with its jobs, also twice, and its ledger stays as it is", async () => {
    await using database = await createForeignDatabase(kind);
    const [ledger, jobs] = [await ledgerOf(database), await database.sql(JOBS)];
    await adopt(database);
    await adopt(database);
    expect(await ledgerOf(database)).toEqual(ledger);
    expect(await database.sql(JOBS)).toEqual(jobs);
    expect(await runOurs(database)).toEqual([1, 2, 3]);
    // What others run is theirs.
    expect(
      await database.sql("select payload::text from howdah._private_jobs where locked_by = 'pool-alive' order by 1"),
    ).toEqual([{ payload: "7" }, { payload: "8" }]);
  });

  it("becomes Howdah's own, and goes back to what it was", async () => {
    await using database = await createForeignDatabase(kind);
    const [objects, jobs] = [await database.sql(OBJECTS), await database.sql(JOBS)];
    await adopt(database);
    await change(database, { release: true });
    expect(await database.sql(OBJECTS)).toEqual(objects);
    expect(await database.sql(JOBS)).toEqual(jobs);
    await adopt(database);
    await change(database, { own: true });
    expect(await database.sql(JOBS)).toEqual(jobs);
    await change(database, { release: true });
    expect(await database.sql(OBJECTS)).toEqual(objects);
    expect(await database.sql(JOBS)).toEqual(jobs);
  });

  it.runIf(kind.ledger <= 19)("takes the next migrations of graphile-worker after it was adopted", async () => {
    await using database = await createForeignDatabase(kind);
    await adopt(database);
    const theirs = await loadRelease();
    const options = await theirOptions(database);
    await theirs.runMigrations(options);
    await adopt(database);
    await theirs.addJobAdhoc(options, "t", 9);
    expect(await runOurs(database)).toEqual([1, 2, 3, 9]);
    await database.sql("select howdah.add_job('t', '10')");
    const ran: unknown[] = [];
    await theirs.runOnce({ ...options, taskList: { t: (payload) => void ran.push(payload) } });
    expect(ran).toEqual([10]);
  });
});

it("workers of graphile-worker refuse to start when the schema has become Howdah's own", async () => {
  await using database = await createForeignDatabase({ name: "", release: "0.17", ledger: 19 });
  await adopt(database);
  await change(database, { own: true });
  const theirs = await loadRelease();
  const options = await theirOptions(database);
  await expect(theirs.runOnce({ ...options, taskList: { t() {} } })).rejects.toThrow(
    /includes breaking migration \d+, but/,
  );
});
