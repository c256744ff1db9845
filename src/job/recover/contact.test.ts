import { describe, expect, it } from "vitest";
import type { Driver, Executor, ListenHandlers, Query, QueryResult } from "../../postgres/driver.ts";
import { createSchema } from "../../postgres/schema.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { Contact, type ContactAttempt } from "./contact.ts";

const ANSWER: QueryResult = { rows: [], count: 0 };

/** A connection that answers when a test says so, and knows what it was asked. */
class Line implements Executor {
  readonly asked: Query[] = [];
  #open: { resolve(answer: QueryResult): void; reject(error: unknown): void }[] = [];

  query(query: Query): Promise<QueryResult> {
    this.asked.push(query);
    return new Promise((resolve, reject) => {
      this.#open.push({ resolve, reject });
      query.lost?.addEventListener("abort", () => reject(new Error("lost")));
    });
  }

  get isLost(): boolean {
    return this.asked.some(({ lost }) => lost?.aborted);
  }

  answer(): void {
    for (const { resolve } of this.#open.splice(0)) resolve(ANSWER);
  }

  fail(error: unknown): void {
    for (const { reject } of this.#open.splice(0)) reject(error);
  }
}

const timeoutMs = 1_000;
const patienceMs = 20_000;

/** A contact over a session, or over a pool, and the connections that it has made for itself. */
function setUp({ listens = true } = {}) {
  const clock = createManualClock();
  const usual = new Line();
  const own: (Line & { isClosed?: boolean })[] = [];
  let connect: Promise<unknown> = Promise.resolve();
  const driver: Driver = {
    query: (query) => usual.query(query),
    transaction: () => Promise.reject(new Error("not needed")),
    async listen(_channels, { up }: ListenHandlers) {
      await connect;
      const line: Line & { isClosed?: boolean } = new Line();
      own.push(line);
      up(line);
      return {
        async close() {
          line.isClosed = true;
          line.fail(new Error("closed"));
        },
      };
    },
    close: () => Promise.resolve(),
  };
  const context = { clock, driver, schema: createSchema("howdah") };
  const contact = new Contact(context, {
    timeoutMs,
    patienceMs,
    sessionLock: { session: listens ? usual : undefined },
  });
  const attempts: ContactAttempt[] = [];
  return {
    clock,
    usual,
    own,
    attempts,
    contact,
    connecting: (promise: Promise<unknown>) => void (connect = promise),
    /** Resolves to the way by which it was reached. */
    reach: () =>
      contact.reach(async (attempt) => {
        attempts.push(attempt);
        const { executor, timeoutMs: limitMs, lost } = attempt.target;
        await executor.query({ text: "beat", timeoutMs: limitMs, lost });
        return attempt.isRepeated ? "own" : "usual";
      }),
  };
}

const outcomeOf = (promise: Promise<string>): Promise<string> =>
  promise.catch((error: unknown) => String((error as { code?: string }).code ?? error));

describe.each([
  ["a session", true],
  ["a pool", false],
])("over %s", (_, listens) => {
  it("an answer that is slower than the limit counts, and nothing is given up for it", async () => {
    const { clock, usual, own, attempts, reach } = setUp({ listens });
    const reaching = reach();
    await clock.advance(1_500);
    expect(own).toHaveLength(1);
    expect(attempts.map(({ isRepeated }) => isRepeated)).toEqual([false, true]);
    usual.answer();
    expect(await reaching).toBe("usual");
    expect(usual.isLost).toBe(false);
    // The other one has changed nothing by the time it is answered.
    own[0]?.answer();
    await clock.advance(0);
    expect(own[0]?.isClosed).toBe(true);
    expect(usual.isLost).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it("is given up when a connection that was made later is answered, and it is not", async () => {
    const { clock, usual, own, attempts, reach } = setUp({ listens });
    const reaching = reach();
    await clock.advance(1_000);
    expect(usual.isLost).toBe(false);
    own[0]?.answer();
    expect(await reaching).toBe("own");
    expect(own[0]?.isClosed).toBe(true);
    await clock.advance(timeoutMs / 10);
    expect(usual.isLost).toBe(true);
    expect(attempts.map(({ isRepeated }) => isRepeated)).toEqual([false, true]);
  });

  it("is kept when its answer comes right behind that of the other one", async () => {
    const { clock, usual, own, reach } = setUp({ listens });
    const reaching = reach();
    await clock.advance(1_000);
    own[0]?.answer();
    expect(await reaching).toBe("own");
    usual.answer();
    await clock.advance(timeoutMs);
    expect(usual.isLost).toBe(false);
  });

  it("is not given up, nor asked again, while no other connection is answered either", async () => {
    const { clock, usual, own, reach } = setUp({ listens });
    for (let tries = 1; tries <= 3; tries += 1) {
      const reaching = outcomeOf(reach());
      await clock.advance(3_000);
      expect(await reaching).toBe("HOWDAH_QUERY_TIMEOUT");
      expect(own.map(({ isClosed }) => isClosed)).toEqual(Array.from({ length: tries }, () => true));
    }
    expect(usual.asked).toHaveLength(1);
    expect(usual.asked[0]?.timeoutMs).toBe(patienceMs);
    expect(usual.isLost).toBe(false);
    // The server goes on: what was asked first is answered first, and is asked again.
    usual.answer();
    await clock.advance(0);
    const reaching = reach();
    await clock.advance(0);
    usual.answer();
    expect(await reaching).toBe("usual");
    expect(usual.isLost).toBe(false);
  });

  it("is given up when a later try is answered over a connection of its own", async () => {
    const { clock, usual, own, reach } = setUp({ listens });
    const first = outcomeOf(reach());
    await clock.advance(3_000);
    await first;
    const second = reach();
    await clock.advance(0);
    own[1]?.answer();
    expect(await second).toBe("own");
    await clock.advance(timeoutMs / 10);
    expect(usual.isLost).toBe(true);
  });

  it("sends nothing over a connection that comes about too late, and closes it", async () => {
    const { clock, own, reach, connecting } = setUp({ listens });
    const late = new AbortController();
    connecting(new Promise((resolve) => late.signal.addEventListener("abort", resolve)));
    const reaching = outcomeOf(reach());
    await clock.advance(3_000);
    expect(await reaching).toBe("HOWDAH_QUERY_TIMEOUT");
    late.abort();
    await clock.advance(0);
    expect(own.map(({ isClosed, asked }) => [isClosed, asked.length])).toEqual([[true, 0]]);
  });

  it("rejects with the error of the usual way when the other one fails at once", async () => {
    const { clock, usual, own, reach } = setUp({ listens });
    const reaching = outcomeOf(reach());
    await clock.advance(0);
    usual.fail(new Error("first"));
    await clock.advance(0);
    own[0]?.fail(new Error("second"));
    expect(await reaching).toBe("Error: first");
  });

  it("asks no other way when the server has refused it", async () => {
    const { clock, usual, own, reach } = setUp({ listens });
    const reaching = outcomeOf(reach());
    await clock.advance(0);
    usual.fail(Object.assign(new Error("no right"), { code: "42501" }));
    expect(await reaching).toBe("42501");
    expect(own).toEqual([]);
  });

  it("waits for nothing once it has ended", async () => {
    const { clock, usual, reach, contact } = setUp({ listens });
    const reaching = outcomeOf(reach());
    await clock.advance(3_000);
    await reaching;
    contact.end();
    expect(usual.isLost).toBe(true);
  });
});
