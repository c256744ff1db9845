import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(() => database.drop());

describe("an error that the trigger of an application raises", () => {
  /** What the function of the trigger does, and what is no work of Howdah's then. */
  const FAULTS = {
    "42P01": "insert into nowhere values (1)",
    "42883": "perform no_such_function()",
    "3F000": "perform no_such_schema.f()",
    "42501": "raise insufficient_privilege",
    P0001: "raise exception 'the invoice is closed'",
  };

  const ADDS: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
    addJob: (client) => client.addJob("t"),
    "addJob with a key": (client) => client.addJob("t", {}, { jobKey: "k" }),
    "addJob into a queue": (client) => client.addJob("t", {}, { queueName: "q" }),
    addJobs: (client) => client.addJobs([{ identifier: "t" }, { identifier: "t", spec: { jobKey: "k2" } }]),
  };

  it.each(Object.entries(FAULTS))(
    "(%s) is told as one, with its cause, and never as a fault of the schema",
    async (state, body) => {
      await database.sql(`
      create schema app;
      create function app.audit() returns trigger language plpgsql as $$ begin ${body}; return new; end $$;
      create trigger audit before insert on howdah._private_jobs for each row execute function app.audit()`);
      try {
        await using client = await createClient({ driver: database.driver, logger: silentLogger });
        const found: unknown[] = [];
        for (const add of Object.values(ADDS)) found.push(await add(client).catch((thrown: unknown) => thrown));
        const expected = {
          code: "HOWDAH_DATABASE_ERROR",
          message: expect.stringMatching(/not Howdah that raised this but PL\/pgSQL function app\.audit\(\)/),
          cause: { code: state },
        };
        expect(found).toMatchObject(Object.keys(ADDS).map(() => expected));
      } finally {
        await database.sql("drop schema app cascade");
      }
    },
  );

  it("of a foreign key to the jobs is told as one", async () => {
    await database.sql("create table child (job bigint references howdah._private_jobs (id))");
    await using client = await createClient({ driver: database.driver, logger: silentLogger });
    const { id } = await client.addJob("t");
    await database.sql(`insert into child values (${id})`);
    await expect(client.completeJobs([id])).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_ERROR",
      cause: { code: "23503" },
    });
    await database.sql("drop table child");
  });
});

describe("an error of PostgreSQL at the start", () => {
  it("is a HowdahError, also for a schema that PostgreSQL keeps for itself", async () => {
    await expect(createClient({ driver: database.driver, schema: "pg_foo" })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: "Option `schema` names a schema that PostgreSQL keeps for itself.",
    });
  });
});

/** A pool that behaves like a pooler in transaction mode: what a client has prepared, it no longer knows at the next lend. */
function forgetfulPool(): pg.Pool {
  const pool = new pg.Pool({ connectionString: database.connectionString, max: 4 });
  pool.on("acquire", (client) => {
    const { connection } = client as unknown as { connection: { parsedStatements: Record<string, string> } };
    connection.parsedStatements = {};
  });
  return pool;
}

describe("behind a transaction pooler, with prepared statements", () => {
  it("a client names the pooler and the options that mend it", async () => {
    const pool = forgetfulPool();
    await using client = await createClient({ pool, logger: silentLogger });
    let error: unknown;
    await until(async () => {
      await client.addJob("t").catch((thrown: unknown) => void (error = thrown));
      return error !== undefined;
    });
    expect(error).toMatchObject({
      code: "HOWDAH_TRANSACTION_POOLER",
      message: expect.stringMatching(/already exists.*`preparedStatements: false`.*`listenConnectionString`/),
      cause: { code: "42P05" },
    });
    await client.close();
    await pool.end();
  });

  it("a worker says so once, however often it fails", async () => {
    const pool = forgetfulPool();
    const logger = createRecordingLogger();
    const task = defineTask({ identifier: "pooled", run() {} });
    const worker = await createTestWorker(database, {
      driver: undefined,
      pool,
      tasks: [task],
      logger,
      pollInterval: 1,
    });
    let failures = 0;
    worker.hooks.on("workerError", () => void (failures += 1));
    const running = worker.run();
    await until(() => failures >= 5);
    await worker.stop();
    await running;
    const named = logger.entries.filter(({ fields }) => String(fields["error"]).includes("preparedStatements: false"));
    expect(named.filter(({ level }) => level === "error")).toHaveLength(1);
    await pool.end();
  });
});
