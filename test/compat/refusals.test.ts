import { describe, expect, it } from "vitest";
import { createClient, migrate } from "../../src/index.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createDatabase } from "../harness/database.ts";
import { loadRelease } from "./graphile-worker.ts";
import { createPlace } from "./layouts.ts";

/** Everything that there is in the schema, as text. */
const OBJECTS = `
  select string_agg(line, E'\\n' order by line) as objects from (
    select format('%s %s %s', relname, attname, format_type(atttypid, atttypmod)) as line
    from pg_attribute join pg_class on pg_class.oid = attrelid where relnamespace = 'howdah'::regnamespace and attnum > 0
    union all
    select pg_get_functiondef(oid) from pg_proc where pronamespace = 'howdah'::regnamespace
    union all
    select format('%s %s', id, breaking) from howdah.migrations
  ) as lines`;

/** graphile-worker sets the code with which its process ends. */
async function keepingExitCode(work: () => Promise<void>): Promise<void> {
  // oxlint-disable-next-line no-restricted-properties -- it is put back
  const { exitCode } = process;
  await work().finally(() => Object.assign(process, { exitCode }));
}

describe("a schema that graphile-worker has made", () => {
  it("is refused by a client that is not told to adopt it, and left as it is", async () => {
    await using place = await createPlace("theirs");
    const before = await place.sql(OBJECTS);
    const connection = { connectionString: place.database.connectionString, schema: "howdah", logger: silentLogger };
    await expect(migrate(connection)).rejects.toMatchObject({ code: "HOWDAH_SCHEMA_FOREIGN" });
    await expect(createClient(connection)).rejects.toMatchObject({ code: "HOWDAH_SCHEMA_FOREIGN" });
    expect(await place.sql(OBJECTS)).toEqual(before);
  });
});

describe("a schema that Howdah has made", () => {
  it("is refused by graphile-worker 0.16, whose locks mean something else, and left as it is", async () => {
    await using database = await createDatabase();
    const old = await loadRelease("0.16");
    const options = {
      connectionString: database.connectionString,
      schema: "howdah",
      logger: new old.Logger(() => () => {}),
    };
    const before = await database.sql(OBJECTS);
    await keepingExitCode(() => expect(old.runMigrations(options)).rejects.toThrow(/includes breaking migration 19/));
    expect(await database.sql(OBJECTS)).toEqual(before);
  });

  it("stops no graphile-worker in another schema of the same database", async () => {
    await using place = await createPlace("theirs");
    const ran: unknown[] = [];
    const runner = await place.theirs.run({
      ...place.options,
      pollInterval: 60_000,
      taskList: { t: (payload) => void ran.push(payload) },
    });
    const listening = new Promise((resolve) => void runner.events.once("pool:listen:success", resolve));
    await migrate({ connectionString: place.database.connectionString, schema: "beside", logger: silentLogger });
    await Promise.race([listening, runner.addJob("t", 1)]);
    await runner.addJob("t", 2);
    await expect.poll(() => ran.includes(2), { timeout: 10_000 }).toBe(true);
    await runner.stop();
  });
});
