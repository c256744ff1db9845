import { describe, expect, it } from "vitest";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { PgPoolClient } from "./pg-pool.ts";
import { PgSession } from "./pg-session.ts";
import { type LentClient, WarmClients } from "./pg-warm-clients.ts";

function setUp() {
  const clock = createManualClock();
  const returned: string[] = [];
  const lend = (name: string): LentClient => {
    const client: PgPoolClient = {
      query: () => Promise.reject(new Error("not asked")),
      on: () => undefined,
      removeListener: () => undefined,
      release: (destroy) => void returned.push(destroy ? `${name} to be closed` : name),
    };
    const session = new PgSession(client, {
      clock,
      preparedStatements: true,
      timeoutMs: 0,
      prepared: true,
      trusted: true,
      doubt: { count: 0 },
    });
    return { client, session, takenAt: clock.monotonic() };
  };
  return { clock, warm: new WarmClients(clock), lend, take: () => returned.splice(0) };
}

describe("warm clients", () => {
  it("are lent again, the one that was used last first, without the pool", () => {
    const { warm, lend, take } = setUp();
    const [first, second] = [lend("first"), lend("second")];
    warm.keep(first);
    warm.keep(second);
    expect([warm.take(), warm.take(), warm.take()]).toEqual([second, first, undefined]);
    expect(take()).toEqual([]);
  });

  it("go back to the pool when they were not used for a while, so that an idle process may end", async () => {
    const { clock, warm, lend, take } = setUp();
    warm.keep(lend("one"));
    warm.keep(lend("other"));
    await clock.advance(99);
    expect(take()).toEqual([]);
    await clock.advance(1);
    expect(take()).toEqual(["one", "other"]);
    expect(clock.pending).toBe(0);
    warm.keep(lend("later"));
    await clock.advance(100);
    expect(take()).toEqual(["later"]);
  });

  it("are closed and not lent again when their connection was lost meanwhile", async () => {
    const { clock, warm, lend, take } = setUp();
    const [works, broken, brokenLater] = [lend("works"), lend("broken"), lend("broken later")];
    broken.session.discard(new Error("cut"));
    warm.keep(broken);
    expect(take()).toEqual(["broken to be closed"]);
    warm.keep(works);
    warm.keep(brokenLater);
    brokenLater.session.discard(new Error("cut"));
    expect(warm.take()).toBe(works);
    expect(take()).toEqual(["broken later to be closed"]);
    await clock.advance(1_000);
  });

  it("are seen by the pool now and then although they are in use all the time, because it may have to retire them", async () => {
    const { clock, warm, lend, take } = setUp();
    const busy = lend("busy");
    await clock.advance(1_000);
    warm.keep(busy);
    expect(warm.take()).toBe(busy);
    await clock.advance(1);
    warm.keep(busy);
    expect(warm.take()).toBeUndefined();
    expect(take()).toEqual(["busy"]);
  });
});
