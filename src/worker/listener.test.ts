import { describe, expect, it } from "vitest";
import { createGate } from "../../test/harness/worker.ts";
import type { Driver, ListenHandlers } from "../postgres/driver.ts";
import { createSchema } from "../postgres/schema.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { Listener } from "./listener.ts";

function setUp(listen: (attempt: number, handlers: ListenHandlers) => Promise<void> = () => Promise.resolve()) {
  const clock = createManualClock();
  const told: unknown[] = [];
  let attempts = 0;
  let handlers: ListenHandlers | undefined;
  let closed = 0;
  const driver = {
    async listen(channels: readonly string[], given: ListenHandlers) {
      attempts += 1;
      told.push(["listen", ...channels]);
      handlers = given;
      await listen(attempts, given);
      return {
        async close() {
          closed += 1;
        },
      };
    },
  } as unknown as Driver;
  const context = { driver, clock, schema: createSchema("mine") };
  const listener = new Listener(context, {
    announced: (notification) => void told.push(notification),
    schedulesChanged: () => void told.push("schedules"),
    controlled: (payload) => void told.push(["controlled", payload]),
    heard: (channel) => void told.push(["heard", channel]),
    up: () => void told.push("up"),
    down: (error) => void told.push(["down", (error as Error).message]),
  });
  listener.start();
  const notify = (payload: string) => handlers?.notified("jobs:insert", payload);
  return { clock, told, listener, notify, closed: () => closed };
}

describe("a listener", () => {
  it("passes on what is announced for its schema", async () => {
    const { clock, told, notify, listener } = setUp();
    await clock.advance(0);
    notify('{"schema":"mine","count":2,"at":1767225600000000,"queues":[1]}');
    notify('{"schema":"other","count":2}');
    notify('{"schema":"mine","count":-1}');
    expect(told).toEqual([
      ["listen", "jobs:insert", "howdah:schedules", "howdah:control"],
      { count: 2, at: "1767225600000000", queueIds: [1] },
    ]);
    await listener.stop();
  });

  it("tries again until it listens, and says once that it does not", async () => {
    const { clock, told, listener, closed } = setUp((attempt) =>
      attempt < 4 ? Promise.reject(new Error(`attempt ${attempt}`)) : Promise.resolve(),
    );
    await clock.advance(60_000);
    expect(told.filter((line) => Array.isArray(line) && line[0] === "listen")).toHaveLength(4);
    expect(told.filter((line) => Array.isArray(line) && line[0] === "down")).toEqual([["down", "attempt 1"]]);
    await clock.advance(3_600_000);
    expect(told).toHaveLength(5);
    await listener.stop();
    expect(closed()).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("closed while it connects ends the session that comes about", async () => {
    const gate = createGate();
    const { clock, listener, closed } = setUp(() => gate.opened);
    await clock.advance(0);
    const closing = listener.stop();
    gate.open();
    await closing;
    expect(closed()).toBe(1);
  });
});
