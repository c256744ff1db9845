import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import pg from "pg";
import { afterAll, afterEach, expect, it } from "vitest";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { backendOf, hear } from "./listen.ts";

const database = await createDatabase({ migrate: false });
const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});
afterAll(() => database.drop());

/** Serves every connection with `serve` and returns the URL of the test database through it. */
async function through(serve: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    keep(socket);
    serve(socket);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(database.connectionString);
  url.port = String((server.address() as { port: number }).port);
  url.hostname = "127.0.0.1";
  return url.href;
}

function keep(socket: Socket): Socket {
  sockets.add(socket);
  socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  return socket;
}

/** A network that can stop delivering without telling anybody. */
async function createNetwork(): Promise<{
  url: string;
  connections: () => number;
  fallSilent: () => void;
  heal: () => void;
  /** Delivers nothing more over the connections that there are, whatever happens. */
  forsake: () => void;
}> {
  let silent = false;
  let forsaken = 0;
  let connections = 0;
  const url = await through((socket) => {
    connections += 1;
    const number = connections;
    const isDead = (): boolean => silent || number <= forsaken;
    const { hostname, port } = new URL(database.connectionString);
    const server = keep(connect(Number(port), hostname));
    socket.on("data", (data) => isDead() || server.write(data));
    server.on("data", (data) => isDead() || socket.write(data));
    socket.on("close", () => server.destroy());
  });
  return {
    url,
    connections: () => connections,
    fallSilent: () => void (silent = true),
    heal: () => void (silent = false),
    forsake: () => void (forsaken = connections),
  };
}

it("notices a server that vanished without a word, and listens again when it is back", async () => {
  const network = await createNetwork();
  const clock = createManualClock();
  const driver = pgDriver({ connectionString: network.url, clock });
  const ear = await hear(driver, ["vanished"]);
  for (const _ of [1, 2, 3]) {
    // Statements of one session are answered in turn, so the ping has been when this one is.
    await backendOf(ear.sessions[0]);
    await clock.advance(10_000);
  }
  await backendOf(ear.sessions[0]);
  await clock.advance(0);
  expect(ear.losses).toEqual([]);

  network.fallSilent();
  await clock.advance(20_000);
  expect(ear.losses).toMatchObject([{ code: "HOWDAH_QUERY_TIMEOUT" }]);
  network.heal();
  await until(async () => {
    await clock.advance(1_000);
    return ear.sessions.length === 2;
  });
  await database.sql("select pg_notify('vanished', 'back')");
  await until(() => ear.heard.length === 1);
  expect(ear.losses).toHaveLength(1);
  await driver.close();
});

it("asks nothing over a session that is to be quiet, until that is over", async () => {
  const network = await createNetwork();
  const clock = createManualClock();
  const driver = pgDriver({ connectionString: network.url, clock });
  const ear = await hear(driver, ["quiet"]);
  ear.listening.quiet?.(true);
  network.fallSilent();
  await clock.advance(120_000);
  expect(ear.losses).toEqual([]);
  ear.listening.quiet?.(false);
  await clock.advance(0);
  await clock.advance(20_000);
  expect(ear.losses).toMatchObject([{ code: "HOWDAH_QUERY_TIMEOUT" }]);
  await driver.close();
});

it("gives up a statement that the server never answers, however patient the server itself is", async () => {
  const network = await createNetwork();
  const clock = createManualClock();
  const driver = pgDriver({ connectionString: network.url, clock, statementTimeout: "30s" });
  await driver.query({ text: "select 1" });
  network.fallSilent();
  const outcome = driver.query({ text: "select 1" }).catch((error: unknown) => error);
  await until(() => clock.pending > 0);
  await clock.advance(40_000);
  expect(await outcome).toMatchObject({ code: "HOWDAH_QUERY_TIMEOUT" });
  const closing = driver.close();
  await clock.advance(2_000);
  await closing;
});

it("gives up connecting to a server that takes the connection and says nothing", async () => {
  const driver = pgDriver({ connectionString: await through(() => undefined), connectTimeout: 50 });
  const unreachable = { code: "HOWDAH_DATABASE_UNREACHABLE" };
  await expect(driver.query({ text: "select 1" })).rejects.toMatchObject(unreachable);
  await expect(hear(driver, ["silent"])).rejects.toMatchObject(unreachable);
  await driver.close();
});

it("closes at once while it connects to listen, and listen resolves without a call", async () => {
  let accepted = 0;
  const driver = pgDriver({ connectionString: await through(() => void (accepted += 1)), connectTimeout: "10m" });
  const listening = hear(driver, ["connecting"]);
  await until(() => accepted === 1);
  await driver.close();
  expect(await listening).toMatchObject({ heard: [], sessions: [], losses: [] });
});

it("tries again with growing rests, and tells of the loss once", async () => {
  const network = await createNetwork();
  const clock = createManualClock();
  const driver = pgDriver({ connectionString: network.url, clock });
  const ear = await hear(driver, ["refused"]);
  const [proxy] = servers;
  const closed = new Promise((resolve) => proxy!.close(resolve));
  servers.length = 0;
  for (const socket of sockets) socket.destroy();
  await closed;
  await until(() => ear.losses.length === 1);
  // A minute of failed attempts.
  for (let second = 0; second < 60; second++) await clock.advance(1_000);
  expect(ear.losses).toHaveLength(1);
  expect(ear.sessions).toHaveLength(1);
  const { port } = new URL(network.url);
  const back = createServer((socket) => {
    const { hostname, port: target } = new URL(database.connectionString);
    const server = keep(connect(Number(target), hostname));
    keep(socket).pipe(server).pipe(socket);
  });
  servers.push(back);
  back.listen(Number(port), "127.0.0.1");
  await once(back, "listening");
  await until(async () => {
    await clock.advance(1_000);
    return ear.sessions.length === 2;
  });
  await driver.close();
});

it.each(["one of the pool", "one that listens"])(
  "gives up a connection at once that is said to be lost, %s, and uses none again that lies idle",
  async (kind) => {
    const network = await createNetwork();
    const clock = createManualClock();
    const driver = pgDriver({ connectionString: network.url, clock });
    const ear = await hear(driver, ["lost"]);
    const executor = kind === "one that listens" ? ear.sessions[0]! : driver;
    await Promise.all([driver.query({ text: "select 1" }), driver.query({ text: "select 1" })]);
    const before = network.connections();
    network.fallSilent();
    const lost = new AbortController();
    const outcome = executor.query({ text: "select 1", lost: lost.signal }).catch((error: unknown) => error);
    await clock.advance(0);
    network.forsake();
    network.heal();
    lost.abort();
    expect(await outcome).toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    expect((await driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
    expect(network.connections()).toBeGreaterThan(before);
    if (kind === "one that listens")
      await until(async () => {
        await clock.advance(1_000);
        return ear.sessions.length === 2;
      });
    const closing = driver.close();
    await clock.advance(2_000);
    await closing;
  },
);

it("does not send what was said to be lost before its turn, and keeps its connection", async () => {
  const driver = pgDriver({ connectionString: database.connectionString });
  const ear = await hear(driver, ["kept"]);
  const backend = await backendOf(ear.sessions[0]);
  for (const executor of [driver, ear.sessions[0]!]) {
    const query = { text: "select pg_notify('kept', '')", lost: AbortSignal.abort(new Error("too late")) };
    await expect(executor.query(query)).rejects.toThrow("too late");
  }
  expect(await backendOf(ear.sessions[0])).toBe(backend);
  expect(ear.heard).toEqual([]);
  expect(ear.losses).toEqual([]);
  await driver.close();
});

it("uses no idle connection again after one has fallen silent, because all of them may have", async () => {
  const network = await createNetwork();
  const clock = createManualClock();
  const driver = pgDriver({ connectionString: network.url, clock });
  const waiting = driver.share?.("waiting") ?? driver;
  const both = (text: string) =>
    Promise.all([driver.query({ text }), driver.query({ text }), waiting.query({ text }), waiting.query({ text })]);
  await both("select pg_sleep(0.05)");
  const before = network.connections();
  expect(before).toBe(4);

  network.fallSilent();
  const outcome = driver.query({ text: "select 1", timeoutMs: 1_000 }).catch((error: unknown) => error);
  await clock.advance(1_000);
  expect(await outcome).toMatchObject({ code: "HOWDAH_QUERY_TIMEOUT" });
  // The old connections stay silent, new ones work; the clock stands still, so nothing more runs out of time.
  network.forsake();
  network.heal();
  for (const { rows } of await both("select 1")) expect(rows).toEqual([["1"]]);
  expect(network.connections()).toBeGreaterThan(before);
  const closing = driver.close();
  await clock.advance(2_000);
  await closing;
});

/** A message of the server: its type, its length, and what is in it. */
function message(type: string, ...parts: (string | number)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : Buffer.from([0, 0, 0, part]))),
  );
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

it("survives a new connection of an application's pool whose end comes in one piece with its beginning", async () => {
  const ready = Buffer.concat([message("R", 0), Buffer.from("Z\0\0\0\x05I")]);
  const ended = message("E", "SFATAL", "VFATAL", "C57P01", "Mterminating connection", "");
  const connectionString = await through((socket) => {
    socket.on("data", () => socket.end(Buffer.concat([ready, ended])));
  });
  const pool = new pg.Pool({ connectionString, max: 2 });
  const driver = pgDriver({ pool });
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => driver.query({ text: "select 1" })));
  const lost = { status: "rejected", reason: expect.objectContaining({ code: "HOWDAH_CONNECTION_LOST" }) as unknown };
  expect(outcomes).toEqual([lost, lost, lost]);
  await driver.close();
  await pool.end();
});
