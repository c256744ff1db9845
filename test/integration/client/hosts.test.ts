import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type ListenOptions } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient, createWorker, defineTask, type Driver, silentLogger } from "../../../src/index.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { postgresDriver } from "../../../src/postgres/drivers/postgres.ts";
import { findSystemUser } from "../../../src/embedded/system-user.ts";
import { askOnce } from "../../harness/ask-once.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { type ReplicatedServers, startReplicatedServers } from "../../harness/standby.ts";
import { until } from "../../harness/until.ts";

const folder = mkdtempSync(join(tmpdir(), "howdah-hosts-"));
let servers: ReplicatedServers;

beforeAll(async () => {
  await makeCertificates();
  servers = await startReplicatedServers({
    ssl: true,
    ssl_cert_file: join(folder, "server.crt"),
    ssl_key_file: join(folder, "server.key"),
  });
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A certificate for "localhost", and the authority that has signed it. */
async function makeCertificates(): Promise<void> {
  const openssl = (line: string): unknown => execFileSync("openssl", line.split(" "), { cwd: folder, stdio: "pipe" });
  openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
  openssl(
    "req -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.csr",
  );
  openssl(
    "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out server.crt",
  );
  chmodSync(folder, 0o755);
  chmodSync(join(folder, "server.key"), 0o600);
  const user = await findSystemUser();
  if (user) execFileSync("chown", [`${user.uid}:${user.gid}`, join(folder, "server.key")]);
}

/** A connection string with several hosts. */
function urlOf(hosts: readonly string[], parameters = ""): string {
  const url = new URL(servers.primary.connectionString);
  return `postgresql://${url.username}:${url.password}@${hosts.join(",")}/postgres${parameters && `?${parameters}`}`;
}

const hostOf = (name: "primary" | "standby", host = "127.0.0.1"): string =>
  `${host}:${new URL(servers[name].connectionString).port}`;

/** Which server a driver has led to, for a statement and to listen. */
async function ledTo(driver: Driver): Promise<(string | undefined)[]> {
  const ports = new Map(
    (["primary", "standby"] as const).map((name) => [new URL(servers[name].connectionString).port, name]),
  );
  const query = { text: "show port" };
  let listening: string | null | undefined;
  try {
    const { rows } = await driver.query(query);
    const up = async (session: Pick<Driver, "query">): Promise<void> => {
      listening = (await session.query(query)).rows[0]?.[0];
    };
    const ear = await driver.listen([], {
      up: (session) => void up(session),
      down: () => undefined,
      notified: () => undefined,
    });
    await until(() => listening !== undefined);
    await ear.close();
    return [rows[0]?.[0], listening].map((port) => ports.get(String(port)));
  } finally {
    await driver.close();
  }
}

const fault = async (driver: Driver): Promise<string> => {
  try {
    return await driver.query({ text: "select 1" }).then(
      () => "done",
      (error: unknown) => `${(error as { code?: string }).code} ${(error as Error).message}`,
    );
  } finally {
    await driver.close();
  }
};

const DRIVERS: [string, (connectionString: string) => Driver][] = [
  ["pg", (connectionString) => pgDriver({ connectionString })],
  ["postgres.js", (connectionString) => postgresDriver(connectionString)],
];

describe.each(DRIVERS)("several hosts with %s", (_name, create) => {
  it.each<["primary" | "standby", string]>([
    ["primary", ""],
    ["primary", "target_session_attrs=read-write"],
    ["primary", "target_session_attrs=primary"],
    ["standby", "target_session_attrs=any"],
    ["standby", "target_session_attrs=read-only"],
    ["standby", "target_session_attrs=standby"],
    ["standby", "target_session_attrs=prefer-standby"],
  ])("lead to the %s with %j, also past a host where nothing is", async (expected, parameters) => {
    const hosts = ["127.0.0.1:1", hostOf("standby"), hostOf("primary")];
    expect(await ledTo(create(urlOf(hosts, parameters)))).toEqual([expected, expected]);
  });

  it("lead to the primary where a standby is preferred and none is there", async () => {
    const hosts = ["127.0.0.1:1", hostOf("primary")];
    expect(await ledTo(create(urlOf(hosts, "target_session_attrs=prefer-standby")))).toEqual(["primary", "primary"]);
  });

  it("say of each host why it is not used", async () => {
    expect(await fault(create(urlOf(["127.0.0.1:1", hostOf("standby")])))).toMatch(
      /^HOWDAH_DATABASE_UNREACHABLE None of the hosts can be used: 127\.0\.0\.1:1: .*ECONNREFUSED.*; 127\.0\.0\.1:\d+: it is read-only, and target_session_attrs=read-write is wanted$/,
    );
    expect(await fault(create(urlOf([hostOf("primary")], "target_session_attrs=standby")))).toMatch(/it is no standby/);
  });

  it("are not tried on when one refuses the password", async () => {
    const url = urlOf([hostOf("primary"), "127.0.0.1:1"]).replace(/:[^:@]+@/, ":wrong@");
    expect(await fault(create(url))).toMatch(/^28P01 /);
  });
});

/** Leads from somewhere else to the primary. */
async function forward(to: ListenOptions): Promise<AsyncDisposable> {
  const { hostname, port } = new URL(servers.primary.connectionString);
  const server = createServer((socket) => {
    const target = connect(Number(port), hostname);
    socket.on("error", () => target.destroy()).pipe(target);
    target.on("error", () => socket.destroy()).pipe(socket);
  }).listen(to);
  await once(server, "listening");
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

describe("other ways to a host", () => {
  it.each(DRIVERS)(
    "are addresses of IPv6 and sockets of the file system, also several, with %s",
    async (_name, create) => {
      await using _socket = await forward({ path: join(folder, ".s.PGSQL.5432") });
      await using _six = await forward({ host: "::1", port: 54_329 });
      const path = encodeURIComponent(folder);
      for (const [hosts, parameters] of [
        [[path], ""],
        [["[::1]:54329"], ""],
        [["127.0.0.1:1", `${path}:5432`], ""],
        [["127.0.0.1:1", "[::1]:54329"], ""],
        [[""], `host=${folder}`],
        [[""], `host=${folder},::1&port=1,54329`],
      ] as const) {
        expect(await ledTo(create(urlOf(hosts, parameters)))).toEqual(["primary", "primary"]);
      }
    },
  );

  it("are those that an instance of postgres.js was made with", async () => {
    await using _socket = await forward({ path: join(folder, ".s.PGSQL.5432") });
    await using _six = await forward({ host: "::1", port: 54_329 });
    const { password: pass } = new URL(servers.primary.connectionString);
    const options = { user: "postgres", pass, database: "postgres" };
    expect(await ledTo(postgresDriver(postgres({ ...options, path: join(folder, ".s.PGSQL.5432") })))).toEqual([
      "primary",
      "primary",
    ]);
    const six = postgres({ ...options, host: ["::1", "127.0.0.1"], port: [54_329, 1] } as object);
    expect(await ledTo(postgresDriver(six))).toEqual(["primary", "primary"]);
  });
});

/** Whether the connection is a secure one, or why there is none. */
async function security(driver: Driver): Promise<string> {
  const asked = driver.query({ text: "select ssl from pg_stat_ssl where pid = pg_backend_pid()" });
  const said = await asked.then(
    ({ rows }) => (rows[0]?.[0] === "t" ? "secure" : "plain"),
    (error: unknown) => `${(error as Error).message}`,
  );
  await driver.close();
  return said;
}

describe("secure connections", () => {
  it.each([
    ["localhost", "sslmode=disable", /^plain$/],
    ["localhost", "sslmode=no-verify", /^secure$/],
    ["localhost", "sslmode=verify-full&sslrootcert=CA", /^secure$/],
    ["127.0.0.1", "sslmode=verify-full&sslrootcert=CA", /IP|altnames/],
    ["localhost", "sslmode=verify-full", /certificate/],
    ["localhost", "sslmode=require", /certificate/],
    ["localhost", "sslmode=require&uselibpqcompat=true", /^secure$/],
    ["127.0.0.1", "sslmode=verify-ca&sslrootcert=CA&uselibpqcompat=true", /^secure$/],
  ])("pg, %s with %s", async (host, parameters, expected) => {
    const url = urlOf([hostOf("standby", host)], parameters.replace("CA", join(folder, "ca.crt")));
    expect(await security(pgDriver({ connectionString: url }))).toMatch(expected);
    const several = url.replace("@", "@127.0.0.1:1,").replace("/postgres?", "/postgres?target_session_attrs=any&");
    expect(await security(pgDriver({ connectionString: several }))).toMatch(expected);
  });

  it.each<["primary" | "standby", postgres.Options<{}>["ssl"] | undefined, RegExp]>([
    ["standby", undefined, /^plain$/],
    ["standby", false, /^plain$/],
    ["standby", "require", /^secure$/],
    ["standby", "prefer", /^secure$/],
    ["standby", "verify-full", /certificate/],
    ["standby", true, /certificate/],
    ["standby", { rejectUnauthorized: false }, /^secure$/],
    ["primary", "prefer", /^plain$/],
    ["primary", "require", /does not take secure connections/],
  ])("postgres.js, a %s and `ssl: %j`", async (name, ssl, expected) => {
    const sql = postgres(urlOf([hostOf(name, "localhost")]), ssl === undefined ? {} : { ssl });
    expect(await security(postgresDriver(sql))).toMatch(expected);
  });
});

describe("a failover", () => {
  it("is survived by workers that know both hosts, whatever their driver is", { timeout: 90_000 }, async () => {
    const connectionString = urlOf([hostOf("primary"), hostOf("standby")]);
    const drivers = DRIVERS.map(([, create]) => create(connectionString));
    await using client = await createClient({ connectionString, schema: "failover", logger: silentLogger });
    const ran = new Set<unknown>();
    const workers = await Promise.all(
      drivers.map((driver, index) =>
        createWorker({
          driver,
          schema: "failover",
          migrate: false,
          logger: silentLogger,
          tasks: [defineTask({ identifier: `work ${index}`, run: (payload) => void ran.add(`${index} ${payload}`) })],
          pollInterval: "1h",
          recovery: FAST_RECOVERY,
          shutdown: { osSignals: false },
        }),
      ),
    );
    const ids = workers.map(({ id }) => id);
    const runs = workers.map((worker) => worker.run());
    const add = (payload: string): Promise<unknown> =>
      Promise.all(
        workers.map((_, index) => until(() => client.addJob(`work ${index}`, payload), { deadlineMs: 60_000 })),
      );
    await add("before");
    await until(() => ran.size === 2);
    await servers.caughtUp();
    await servers.failOver();
    await add("after");
    await until(() => ran.size === 4, { deadlineMs: 60_000 });
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(runs);
    await Promise.all(drivers.map((driver) => driver.close()));
    expect(ran).toEqual(new Set(["0 before", "1 before", "0 after", "1 after"]));
    expect(workers.map(({ id }) => id)).toEqual(ids);
    expect(await askOnce(servers.standby.connectionString, "select count(*)::text from failover._private_jobs")).toBe(
      "0",
    );
  });
});
