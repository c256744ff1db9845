import { describe, expect, it } from "vitest";
import type { Driver, Executor, QueryResult } from "../../postgres/driver.ts";
import { createSchema } from "../../postgres/schema.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { Reporter } from "../reporter.ts";
import { SessionHistory, SessionLockKeeper } from "./session-lock.ts";

const NOTHING: QueryResult = { rows: [], count: 0 };
const ROW: QueryResult = { rows: [[]], count: 1 };

/** A keeper between a session and another connection, each of which answers as the test says. */
function setUp({ echoes = Number.POSITIVE_INFINITY, isShown = true } = {}) {
  const clock = createManualClock();
  const log: string[] = [];
  let pid = 0;
  let sent = 0;
  const driver = {
    async query({ text, values = [] }) {
      if (text.includes("pg_locks")) return isShown ? ROW : NOTHING;
      sent += 1;
      if (sent <= echoes) queueMicrotask(() => keeper.heard(String(values[0])));
      return ROW;
    },
  } as Driver;
  const reporter = { failure: (_: string, error: Error) => void log.push(`failed: ${error.message}`) } as Reporter;
  const keeper = new SessionLockKeeper(
    { clock, driver, reporter, schema: createSchema("howdah") },
    {
      timeoutMs: 1_000,
      listens: true,
      sessions: new SessionHistory(),
      watcher: {
        lockChanged: () => void log.push(keeper.lock ? `locked by ${keeper.lock.pid}` : "unlocked"),
        lockUnusable: ({ receives }) => void log.push(receives ? "unusable" : "deaf"),
      },
    },
  );
  const createSession = (fail?: string): Executor => {
    pid += 1;
    const rows = [[String(pid), "t"]];
    return {
      async query({ text }) {
        if (fail !== undefined) throw new Error(fail);
        // The first word of the statement.
        log.push(text.trim().split(" ")[0] ?? "");
        return { rows, count: 1 };
      },
    };
  };
  keeper.start();
  return { clock, keeper, log, createSession, stop: () => keeper.stop() };
}

describe("the lock of a session", () => {
  it("counts once signs from elsewhere have arrived and the server shows it", async () => {
    const { clock, keeper, log, createSession, stop } = setUp();
    keeper.up(createSession());
    await clock.advance(0);
    expect(log).toEqual(["set", "unlisten", "locked by 1"]);
    expect(keeper.lock?.key).toBeGreaterThan(0);
    await stop();
  });

  it.each([0, 1, 2])("does not count behind a transaction pooler, where %i signs arrive by chance", async (echoes) => {
    const { clock, keeper, log, createSession, stop } = setUp({ echoes });
    keeper.up(createSession());
    await clock.advance(11_000);
    expect(keeper.lock).toBeUndefined();
    expect(log).toEqual(["set", "unlisten", "deaf"]);
    await stop();
  });

  it("does not count when the server shows it under no process, or another process", async () => {
    const { clock, keeper, log, createSession, stop } = setUp({ isShown: false });
    keeper.up(createSession());
    await clock.advance(0);
    expect(log).toEqual(["set", "unlisten", "unusable"]);
    await stop();
  });

  it("is gone with its session, and is another one on the next", async () => {
    const { clock, keeper, log, createSession, stop } = setUp();
    keeper.up(createSession());
    await clock.advance(0);
    const first = keeper.lock?.key;
    keeper.down();
    expect(keeper.lock).toBeUndefined();
    expect(keeper.session).toBeUndefined();
    keeper.up(createSession());
    await clock.advance(0);
    expect(log.filter((entry) => entry.includes("lock"))).toEqual(["locked by 1", "unlocked", "locked by 2"]);
    expect(keeper.lock?.key).not.toBe(first);
    await stop();
  });

  it("says once that it could not be had, and tries again", async () => {
    const { clock, keeper, log, createSession, stop } = setUp();
    keeper.up(createSession("no right"));
    await clock.advance(5_000);
    expect(log).toEqual(["failed: no right"]);
    keeper.up(createSession());
    await clock.advance(20_000);
    expect(log.at(-1)).toBe("locked by 2");
    await stop();
  });
});

describe("the session, which runs one statement at a time", () => {
  /** A session that answers when a test says so, and the statements that it was sent. */
  async function setUpLine() {
    const { clock, keeper, stop } = setUp();
    await stop();
    const sent: { readonly text: string; readonly lost: AbortSignal | undefined; answer(): void }[] = [];
    keeper.up({
      query: ({ text, lost }) =>
        new Promise((resolve, reject) => {
          sent.push({ text, lost, answer: () => resolve(NOTHING) });
          lost?.addEventListener("abort", () => reject(new Error("lost")));
        }),
    });
    const lost = new AbortController();
    const ask = (text: string, given?: AbortSignal): Promise<string> =>
      keeper.session!.query({ text, lost: given }).then(
        () => "answered",
        (error: unknown) => (error as Error).message,
      );
    return { clock, sent, lost, ask };
  }

  it("is lost with all that it owes when that is said of a statement which waits for another one", async () => {
    const { clock, sent, lost, ask } = await setUpLine();
    const asked = [ask("first"), ask("second", lost.signal)];
    await clock.advance(0);
    lost.abort(new Error("given up"));
    expect(await Promise.all(asked)).toEqual(["lost", "given up"]);
    expect(sent.map(({ text }) => text)).toEqual(["first"]);
  });

  it("is kept when it has answered anything since that was asked", async () => {
    const { clock, sent, lost, ask } = await setUpLine();
    const asked = [ask("first"), ask("second"), ask("third", lost.signal)];
    await clock.advance(0);
    sent[0]?.answer();
    await clock.advance(0);
    lost.abort(new Error("given up"));
    sent[1]?.answer();
    expect(await Promise.all(asked)).toEqual(["answered", "answered", "given up"]);
    expect(sent.map(({ text }) => text)).toEqual(["first", "second"]);
    expect(sent.some((each) => each.lost?.aborted)).toBe(false);
  });
});
