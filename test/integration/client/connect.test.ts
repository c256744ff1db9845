import { once } from "node:events";
import net from "node:net";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

let empty: TestDatabase;
let migrated: TestDatabase;
const clients: Client[] = [];
const servers: net.Server[] = [];

beforeAll(async () => {
  [empty, migrated] = await Promise.all([createDatabase({ migrate: false }), createDatabase()]);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const server of servers.splice(0)) server.close();
});

afterAll(async () => {
  await Promise.all([empty.drop(), migrated.drop()]);
});

async function open(options: Parameters<typeof createClient>[0]): Promise<Client> {
  const client = await createClient({ logger: silentLogger, ...options });
  clients.push(client);
  return client;
}

/** A server on a free port of this machine. */
async function listen(connected: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    connected(socket);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

describe("createClient", () => {
  it("migrates an empty database, also when several start at once, under any name of the schema", async () => {
    const { connectionString } = empty;
    const schema = `My "Queue"`;
    const started = await Promise.all([1, 2, 3].map(() => open({ connectionString, schema })));
    const job = await started[0]?.addJob("task", { a: 1 });
    expect(await started[2]?.getJob(job?.id ?? "")).toEqual(job);
    await started[1]?.migrate();
  });

  it("takes DATABASE_URL and HOWDAH_SCHEMA from the environment when nothing is given", async () => {
    vi.stubEnv("DATABASE_URL", empty.connectionString);
    vi.stubEnv("HOWDAH_SCHEMA", "from_environment");
    await (await open({})).addJob("task");
    expect(await empty.sql("select task_identifier from from_environment.jobs")).toEqual([{ task_identifier: "task" }]);
  });

  it("takes the PG variables of the environment when there is no DATABASE_URL", async () => {
    const url = new URL(migrated.connectionString);
    vi.stubEnv("DATABASE_URL", "");
    vi.stubEnv("PGHOST", url.hostname);
    vi.stubEnv("PGPORT", url.port);
    vi.stubEnv("PGUSER", decodeURIComponent(url.username));
    vi.stubEnv("PGPASSWORD", decodeURIComponent(url.password));
    vi.stubEnv("PGDATABASE", url.pathname.slice(1));
    expect(await (await open({})).addJob("task")).toMatchObject({ task: "task" });
  });

  it("uses the application's pool and leaves it open", async () => {
    const pool = new pg.Pool({ connectionString: migrated.connectionString, max: 1 });
    const client = await createClient({ pool, logger: silentLogger });
    const job = await client.addJob("task", { at: 1 });
    await client.close();
    const { rows } = await pool.query("select id, run_at from howdah.jobs where id = $1", [job.id]);
    expect(rows).toEqual([{ id: job.id, run_at: expect.any(Date) }]);
    await pool.end();
  });

  it("uses the application's driver and leaves it open", async () => {
    const client = await createClient({ driver: migrated.driver, logger: silentLogger });
    await client.addJob("task");
    await client.close();
    expect((await migrated.driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
  });

  it("adds only the tasks that it was given", async () => {
    const known = defineTask({ identifier: "known", run() {} });
    const client = await open({ driver: migrated.driver, tasks: [known] });
    expect(await client.addJob(known)).toMatchObject({ task: "known" });
    await expect(client.addJob("knwon")).rejects.toMatchObject({ code: "HOWDAH_TASK_UNKNOWN", message: /`known`/ });
    const none = await open({ driver: migrated.driver, tasks: [] });
    await expect(none.addJob("known")).rejects.toMatchObject({ code: "HOWDAH_TASK_UNKNOWN" });
  });

  it("refuses two ways to the database", async () => {
    const both = createClient({ connectionString: migrated.connectionString, driver: migrated.driver });
    await expect(both).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID", message: /connectionString.*driver/ });
  });

  it.each([
    [{ conectionString: "x" }, "HOWDAH_OPTION_UNKNOWN", /did you mean `connectionString`/],
    [{ schema: "" }, "HOWDAH_OPTION_INVALID", /schema/],
    [{ schema: "x".repeat(64) }, "HOWDAH_OPTION_INVALID", /schema.*63/],
    [{ maxConnections: 0 }, "HOWDAH_OPTION_INVALID", /maxConnections/],
    [{ connectTimeout: "soon" }, "HOWDAH_OPTION_INVALID", /connectTimeout/],
    [{ logger: {} }, "HOWDAH_OPTION_INVALID", /logger/],
    [{ pool: {} }, "HOWDAH_OPTION_INVALID", /pool/],
    [{ tasks: [{ identifier: "t" }] }, "HOWDAH_OPTION_INVALID", /task/],
    [{ connectionString: "postgres://me:hunter2@host:port/db" }, "HOWDAH_OPTION_INVALID", /connectionString/],
    [{ connectionString: "postgres://me:hunt#er2@host/db" }, "HOWDAH_OPTION_INVALID", /percent-encoded/],
  ])("refuses the options %j before it connects, without telling the password", async (options, code, message) => {
    const refused: unknown = await createClient(options as never).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code, message });
    expect(inspectDeep(refused)).not.toMatch(/hunter2|hunt#er2/);
  });

  it("says that the schema is missing when it may not migrate, and works when another role has", async () => {
    const missing = createClient({ driver: empty.driver, migrate: false, schema: "nowhere" });
    await expect(missing).rejects.toMatchObject({ code: "HOWDAH_SCHEMA_MISSING", message: /nowhere/ });
    const client = await open({ driver: migrated.driver, migrate: false });
    expect(await client.addJob("task")).toMatchObject({ task: "task" });
  });

  it("gives up after connectTimeout when no server listens, without telling the password", async () => {
    const port = await listen(() => {});
    servers.splice(0).forEach((server) => server.close());
    const error: unknown = await createClient({
      connectionString: `postgres://me:hunter2@127.0.0.1:${port}/db`,
      connectTimeout: 600,
      logger: silentLogger,
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "HOWDAH_DATABASE_UNREACHABLE", message: new RegExp(`db.*127.0.0.1:${port}`) });
    expect(inspectDeep(error)).not.toContain("hunter2");
  });

  it("gives up after connectTimeout when a server listens and never answers", async () => {
    const port = await listen(() => {});
    const connecting = createClient({ connectionString: `postgres://me@127.0.0.1:${port}/db`, connectTimeout: 600 });
    await expect(connecting).rejects.toMatchObject({ code: "HOWDAH_DATABASE_UNREACHABLE" });
  });

  it("waits for a database that is only starting", async () => {
    const target = new URL(migrated.connectionString);
    const [upstreamPort, upstreamHost] = [Number(target.port), target.hostname];
    let attempts = 0;
    const port = await listen((socket) => {
      attempts += 1;
      if (attempts <= 2) return socket.destroy();
      const upstream = net.connect(upstreamPort, upstreamHost);
      upstream.on("error", () => {});
      socket.on("close", () => upstream.destroy());
      socket.pipe(upstream).pipe(socket);
      return undefined;
    });
    target.host = `127.0.0.1:${port}`;
    const client = await open({ connectionString: target.href });
    expect(await client.addJob("task")).toMatchObject({ task: "task" });
    expect(attempts).toBeGreaterThan(2);
  });

  it("reports wrong credentials at once, without telling the password", async () => {
    const url = new URL(migrated.connectionString);
    [url.username, url.password] = ["nobody_of_this_name", "hunter2"];
    const error: unknown = await createClient({
      connectionString: url.href,
      connectTimeout: "1h",
      logger: silentLogger,
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "HOWDAH_DATABASE_FORBIDDEN", message: /nobody_of_this_name/ });
    expect(inspectDeep(error)).not.toContain("hunter2");
  });

  it("reports a database that does not exist at once", async () => {
    const url = new URL(migrated.connectionString);
    url.pathname = "/no_such_database";
    const connecting = createClient({ connectionString: url.href, connectTimeout: "1h" });
    await expect(connecting).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_UNREACHABLE",
      message: /no_such_database/,
    });
  });

  it("tells a role without rights what it lacks", async () => {
    const role = `howdah_powerless_${process.pid}`;
    await migrated.sql(`create role ${role}`);
    const session = await migrated.connect();
    const client = await open({ driver: migrated.driver });
    try {
      await session.query(`begin; set local role ${role}`);
      await expect(client.inTransaction(session).addJob("task")).rejects.toMatchObject({
        code: "HOWDAH_DATABASE_FORBIDDEN",
      });
    } finally {
      await session.query("rollback");
      await migrated.sql(`drop role ${role}`);
    }
  });
});

describe("close", () => {
  it("waits for what is under way, closes the connections, and may be called again", async () => {
    const client = await createClient({ connectionString: migrated.connectionString, logger: silentLogger });
    const connections = async (): Promise<number> =>
      (
        await migrated.sql(`select from pg_stat_activity
          where application_name = 'howdah' and datname = current_database()`)
      ).length;
    const before = await connections();
    const adding = client.addJobs(Array.from({ length: 2_000 }, () => ({ identifier: "t" })));
    await Promise.all([client.close(), client.close()]);
    await client.close();
    await expect(adding).resolves.toHaveLength(2_000);
    await until(async () => (await connections()) < before, { message: "the connections to end" });
  });

  it("makes every method reject", async () => {
    const client = await createClient({ driver: migrated.driver, logger: silentLogger });
    await client.close();
    const calls: Record<string, () => Promise<unknown>> = {
      addJob: () => client.addJob("t"),
      addJobs: () => client.addJobs([{ identifier: "t" }]),
      "addJobs of nothing": () => client.addJobs([]),
      addBatchJob: () => client.addBatchJob("t", [1]),
      removeJob: () => client.removeJob("k"),
      completeJobs: () => client.completeJobs([]),
      permanentlyFailJobs: () => client.permanentlyFailJobs(["1"]),
      rescheduleJobs: () => client.rescheduleJobs(["1"], {}),
      forceUnlockWorkers: () => client.forceUnlockWorkers([]),
      getJob: () => client.getJob("1"),
      listJobs: () => client.listJobs(),
      stats: () => client.stats(),
      listQueues: () => client.listQueues(),
      listErrors: () => client.listErrors(),
      cleanup: () => client.cleanup([]),
      migrate: () => client.migrate(),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect({ name, error }).toMatchObject({ name, error: { code: "HOWDAH_CLIENT_CLOSED" } });
    }
  });

  it("is what `await using` does", async () => {
    let used: Client;
    {
      await using client = await createClient({ driver: migrated.driver, logger: silentLogger });
      used = client;
    }
    await expect(used.addJob("t")).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
  });
});

/** Everything that a logger could print of an error. */
function inspectDeep(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((name) =>
    String((error as unknown as Record<string, unknown>)[name]),
  );
  return [...own, inspectDeep(error.cause)].join("\n");
}
