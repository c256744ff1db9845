import { EventEmitter, once } from "node:events";
import { describe, expect, it } from "vitest";
import { HowdahError } from "../../errors.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { PgLending } from "./pg-lending.ts";
import type { PgPoolClient } from "./pg-pool.ts";
import type { PoolWarnings } from "./pool-warnings.ts";

const connectTimeoutMs = 10_000;

/** Lends clients that come out of their pool as `state` says, one at a time. */
function setUp({ state = "I", session = {} }: { readonly state?: string; readonly session?: object } = {}) {
  const clock = createManualClock();
  const released: (boolean | undefined)[] = [];
  const found: string[] = [];
  let isSilent = false;
  const connect = (): Promise<PgPoolClient> => {
    if (isSilent) return new Promise(() => undefined);
    const client = Object.assign(new EventEmitter(), {
      query: () => Promise.resolve({ command: "SELECT", rowCount: 0, rows: [] }),
      getTransactionStatus: () => state,
      readyForQuery: true,
      release: (destroy?: boolean) => void released.push(destroy),
    });
    return Promise.resolve(client);
  };
  const lending = new PgLending(
    { connect },
    {
      clock,
      limit: 1,
      connectTimeoutMs,
      ownPool: undefined,
      owner: { exhausted: () => new HowdahError("HOWDAH_CONNECTIONS_EXHAUSTED", "all are in use") },
      warnings: {
        foundInside: () => void found.push("inside"),
        foundForeign: () => void found.push("foreign"),
      } as PoolWarnings,
      preparedStatements: true,
      timeoutMs: 0,
      prepared: false,
      trusted: false,
      doubt: { count: 0 },
      ...session,
    },
  );
  return { clock, lending, released, found, fallSilent: () => void (isSilent = true) };
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "lent",
    (error: unknown) => (error as HowdahError).code,
  );

describe("a pool that lends nothing but what other code has left", () => {
  it.each(["T", "E"])("inside of a transaction (%s) is given up after N, which are closed", async (state) => {
    const { lending, released, found } = setUp({ state });
    for (const lent of [lending.hold(() => Promise.resolve()), lending.take()])
      expect(await codeOf(lent)).toBe("HOWDAH_TRANSACTION_LEFT_OPEN");
    expect(released).toEqual(Array.from({ length: 40 }, () => true));
    expect(found).toEqual(Array.from({ length: 40 }, () => "inside"));
    // Its turn has passed on.
    expect(lending.lent).toBe(0);
  });

  it("with the rights of another role is given up as well", async () => {
    const watch = { lend: () => ({ isForeign: true, isBeingSetUp: false }) };
    const { lending, found } = setUp({ session: { watch } });
    expect(await codeOf(lending.hold(() => Promise.resolve()))).toBe("HOWDAH_TRANSACTION_LEFT_OPEN");
    expect(found).toEqual(Array.from({ length: 20 }, () => "foreign"));
  });
});

it("waits for its turn and for a connection no longer than one limit", async () => {
  const { clock, lending, fallSilent } = setUp();
  const gate = new AbortController();
  const first = lending.hold(() => once(gate.signal, "abort"));
  await clock.advance(0);
  const second = codeOf(lending.hold(() => Promise.resolve()));
  await clock.advance(6_000);
  fallSilent();
  gate.abort();
  await first;
  await clock.advance(0);
  expect(lending.lent).toBe(1);
  await clock.advance(connectTimeoutMs - 6_000);
  expect(lending.lent).toBe(0);
  expect(await second).toBe("HOWDAH_DATABASE_UNREACHABLE");
});

it("waits for a connection for the whole limit when it has not waited for a turn, or not waited at all", async () => {
  const { clock, lending, fallSilent } = setUp();
  await lending.hold(() => Promise.resolve());
  await clock.advance(60_000);
  fallSilent();
  const waiting = codeOf(lending.hold(() => Promise.resolve()));
  await clock.advance(connectTimeoutMs - 1);
  expect(lending.lent).toBe(1);
  await clock.advance(1);
  expect(await waiting).toBe("HOWDAH_DATABASE_UNREACHABLE");
});
