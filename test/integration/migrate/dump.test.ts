import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { describeSchema } from "../../harness/describe-schema.ts";

const run = promisify(execFile);
const database = await createDatabase();
const other = await createDatabase({ migrate: false });
afterAll(() => Promise.all([database.drop(), other.drop()]));

/** The tools of the machine may be older than the server, or missing. */
const canDump = await run("pg_dump", ["--schema-only", "--file", "/dev/null", database.connectionString]).then(
  () => true,
  () => false,
);

it.runIf(canDump)("a schema that is dumped and restored is the same, and so is its history", async () => {
  await database.sql(`
    create table howdah._howdah_history_7_today partition of howdah._howdah_history_7
      for values from ('2026-01-01Z') to ('2026-01-02Z');
    insert into howdah._howdah_history (
      keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at, result
    )
    select 7, timestamptz '2026-01-01 23:00Z' + n * interval '1 hour', n, 't', 'c', 1, 25, 0, now(), now(), '{"a":1}'
    from generate_series(0, 2) as n;
    insert into howdah._howdah_attempts (job_id, at, attempt, error) values (1, now(), 1, 'no')`);
  const { stdout } = await run("pg_dump", ["--no-owner", database.connectionString], { maxBuffer: 1e8 });
  const restoring = run("psql", ["-q", "-v", "ON_ERROR_STOP=1", other.connectionString], { maxBuffer: 1e8 });
  restoring.child.stdin?.end(stdout);
  await restoring;
  // Expressions come back with fewer parentheses.
  const described = async (place: typeof other) =>
    (await describeSchema(place, "howdah")).map((line) => line.replaceAll(/[()]/g, ""));
  expect(await described(other)).toEqual(await described(database));
  const driver = pgDriver({ connectionString: other.connectionString });
  const client = clientOver({ driver, schema: database.schema, logger: silentLogger });
  await client.migrate();
  expect((await client.history()).jobs.map(({ id, result }) => [id, result])).toEqual([
    ["2", { a: 1 }],
    ["1", { a: 1 }],
    ["0", { a: 1 }],
  ]);
  expect(await client.listAttempts("1")).toHaveLength(1);
  await driver.close();
});
