import { expect, it } from "vitest";
import type { Driver, Executor, Listening } from "../../../src/postgres/driver.ts";
import { until } from "../../harness/until.ts";
import type { DriverContext } from "./describe-driver.ts";

/** A listener that writes down what it is told. */
export interface Ear {
  readonly heard: readonly (readonly [channel: string, payload: string])[];
  readonly sessions: readonly Executor[];
  readonly losses: readonly unknown[];
  readonly listening: Listening;
}

/** Listens with `driver` and writes down what comes. */
export async function hear(driver: Driver, channels: readonly string[]): Promise<Ear> {
  const heard: [string, string][] = [];
  const sessions: Executor[] = [];
  const losses: unknown[] = [];
  const listening = await driver.listen(channels, {
    notified: (channel, payload) => void heard.push([channel, payload]),
    up: (session) => void sessions.push(session),
    down: (error) => void losses.push(error),
  });
  return { heard, sessions, losses, listening };
}

/** The process of the server that serves a session. */
export async function backendOf(session: Executor | undefined): Promise<string> {
  const { rows } = await session!.query({ text: "select pg_backend_pid()" });
  return String(rows[0]?.[0]);
}

/** LISTEN on a session of its own. */
export function testListen(context: DriverContext): void {
  const notify = (channel: string, payload: string): Promise<unknown> =>
    context.driver.query({ text: "select pg_notify($1, $2)", values: [channel, payload] });

  it("hears every payload on its channels, in order, and nothing else", async () => {
    const ear = await hear(context.driver, ["first", "second"]);
    await notify("first", '{"count":1}');
    await notify("third", "not for me");
    await notify("second", "");
    await notify("first", "ünï 🐫");
    await until(() => ear.heard.length >= 3);
    expect(ear.heard).toEqual([
      ["first", '{"count":1}'],
      ["second", ""],
      ["first", "ünï 🐫"],
    ]);
    await ear.listening.close();
  });

  it("takes a channel name as it is, whatever characters it has", async () => {
    const channels = ["jobs:insert", "Upper Case", 'with "quotes"; select 1'];
    const ear = await hear(context.driver, channels);
    for (const channel of channels) await notify(channel, "here");
    await until(() => ear.heard.length >= channels.length);
    expect(ear.heard).toEqual(channels.map((channel) => [channel, "here"]));
    await ear.listening.close();
  });

  it("is up once by the time listen resolves, with the session it listens on", async () => {
    const ear = await hear(context.driver, ["up"]);
    expect(ear.sessions).toHaveLength(1);
    const [session] = ear.sessions;
    const { rows } = await session!.query({ text: "select pg_backend_pid(), * from pg_listening_channels()" });
    expect(rows[0]?.[1]).toBe("up");
    await session!.query({ text: "select pg_advisory_lock(4711)" });
    const locks = await context.database.sql(
      "select pid from pg_locks join pg_database on pg_database.oid = database where locktype = 'advisory' and objid = 4711 and datname = current_database()",
    );
    expect(locks).toEqual([{ pid: Number(rows[0]?.[0]) }]);
    await ear.listening.close();
  });

  it.skipIf(context.inProcess)(
    "listens again after its session was cut off: down once, up again, on a new session",
    async () => {
      const ear = await hear(context.driver, ["again"]);
      for (const round of [1, 2]) {
        const pid = await backendOf(ear.sessions.at(-1));
        await context.database.sql("select pg_terminate_backend($1)", [Number(pid)]);
        await until(() => ear.sessions.length === round + 1);
        expect(ear.losses).toHaveLength(round);
        expect(await backendOf(ear.sessions.at(-1))).not.toBe(pid);
        await notify("again", `after loss ${round}`);
        await until(() => ear.heard.length === round);
        expect(ear.heard.at(-1)).toEqual(["again", `after loss ${round}`]);
      }
      await ear.listening.close();
    },
  );

  it.skipIf(context.inProcess)("refuses statements on a session that was lost", async () => {
    const ear = await hear(context.driver, ["lost"]);
    const pid = await backendOf(ear.sessions[0]);
    await context.database.sql("select pg_terminate_backend($1)", [Number(pid)]);
    await until(() => ear.losses.length === 1);
    await expect(ear.sessions[0]!.query({ text: "select 1" })).rejects.toMatchObject({
      code: "HOWDAH_CONNECTION_LOST",
    });
    await ear.listening.close();
  });

  it("calls no listener after close, not even for the end of its session", async () => {
    const ear = await hear(context.driver, ["closed"]);
    const other = await hear(context.driver, ["closed"]);
    const pid = await backendOf(ear.sessions[0]);
    await ear.listening.close();
    await notify("closed", "too late");
    await until(() => other.heard.length === 1);
    await until(async () => {
      const left = await context.database.sql("select 1 from pg_stat_activity where pid = $1", [Number(pid)]);
      return context.inProcess || left.length === 0;
    });
    expect(ear).toMatchObject({ heard: [], losses: [], sessions: { length: 1 } });
    await other.listening.close();
  });

  it.skipIf(context.inProcess)("closes twice, and when its session is already gone", async () => {
    const ear = await hear(context.driver, ["twice"]);
    const pid = await backendOf(ear.sessions[0]);
    await Promise.all([context.database.sql("select pg_terminate_backend($1)", [Number(pid)]), ear.listening.close()]);
    await expect(ear.listening.close()).resolves.toBeUndefined();
  });

  it.skipIf(context.inProcess)("rejects when there is nothing to connect to", async () => {
    const url = new URL(context.database.connectionString);
    url.pathname = "/howdah_does_not_exist";
    await expect(hear(context.createDriver(url.href), ["none"])).rejects.toThrow(/howdah_does_not_exist/);
  });
}
