import { describe, expect, expectTypeOf, it } from "vitest";
import { silentLogger, type LogFields, type Logger } from "../runtime/logger.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { EVENT_NAMES } from "./events.ts";
import type { Client } from "../client/client.ts";
import { createHooks } from "./hooks.ts";
import type { Plugin } from "./plugin.ts";

function setUp() {
  const logged: [string, LogFields | undefined][] = [];
  const log = (message: string, fields?: LogFields): void => void logged.push([message, fields]);
  const logger: Logger = { error: log, warn: log, info: log, debug: log };
  const clock = createManualClock();
  return { hooks: createHooks({ logger, clock }), logged, clock };
}

const start = { workerId: "w" };

describe("hooks", () => {
  it("tell every handler of an event, in the order of registration", () => {
    const { hooks } = setUp();
    const calls: string[] = [];
    hooks.on("workerStart", (event) => {
      expectTypeOf(event).toEqualTypeOf<{ workerId: string }>();
      calls.push(`first ${event.workerId}`);
    });
    hooks.on("workerStart", ({ workerId }) => void calls.push(`second ${workerId}`));
    hooks.on("workerShutdown", () => expect.unreachable());
    hooks.emit("workerStart", start);
    expect(calls).toEqual(["first w", "second w"]);
  });

  it("know whether anybody listens", () => {
    const { hooks } = setUp();
    expect(hooks.has("jobFetch")).toBe(false);
    const off = hooks.on("jobFetch", () => undefined);
    expect([hooks.has("jobFetch"), hooks.has("jobStart")]).toEqual([true, false]);
    off();
    off();
    expect(hooks.has("jobFetch")).toBe(false);
  });

  it("remove one registration at a time, also of the same function", () => {
    const { hooks } = setUp();
    let calls = 0;
    const handler = (): void => void (calls += 1);
    const off = hooks.on("workerStart", handler);
    hooks.on("workerStart", handler);
    off();
    off();
    hooks.emit("workerStart", start);
    expect(calls).toBe(1);
  });

  it("let handlers come and go while they are called", () => {
    const { hooks } = setUp();
    const calls: string[] = [];
    const off = hooks.on("workerStart", () => {
      calls.push("once");
      off();
      hooks.on("workerStart", () => void calls.push("late"));
    });
    hooks.on("workerStart", () => void calls.push("always"));
    hooks.emit("workerStart", start);
    hooks.emit("workerStart", start);
    expect(calls).toEqual(["once", "always", "always", "late"]);
  });

  it("survive handlers that throw or reject anything, and say so once a handler", async () => {
    const { hooks, logged } = setUp();
    let reached = 0;
    hooks.on("workerStart", () => {
      throw null;
    });
    hooks.on("workerStart", async () => {
      throw new Error("later");
    });
    hooks.on("workerStart", () => void (reached += 1));
    for (let time = 0; time < 3; time++) hooks.emit("workerStart", start);
    await hooks.settle(1000);
    expect(reached).toBe(3);
    expect(logged).toEqual([
      [expect.any(String), { event: "workerStart", error: "Thrown was no error but null" }],
      [expect.any(String), { event: "workerStart", error: "later" }],
    ]);
  });

  it("survive a logger that throws", async () => {
    const fail = (): never => {
      throw new Error("no logger");
    };
    const hooks = createHooks({ logger: { error: fail, warn: fail, info: fail, debug: fail } });
    hooks.on("workerStart", fail);
    hooks.on("workerStart", async () => fail());
    expect(() => hooks.emit("workerStart", start)).not.toThrow();
    await expect(hooks.settle(1000)).resolves.toBeUndefined();
  });

  it("do not wait for handlers, but settle does", async () => {
    const { hooks, clock, logged } = setUp();
    const calls: string[] = [];
    hooks.on("workerStart", async () => {
      await clock.sleep(100);
      calls.push("handled");
    });
    hooks.emit("workerStart", start);
    calls.push("emitted");
    const settled = hooks.settle(1000).then(() => calls.push("settled"));
    await clock.advance(100);
    await settled;
    expect(calls).toEqual(["emitted", "handled", "settled"]);
    expect([clock.pending, logged]).toEqual([0, []]);
  });

  it("leave handlers alone that do not end in time", async () => {
    const { hooks, clock, logged } = setUp();
    hooks.on("workerStart", () => new Promise(() => undefined));
    hooks.emit("workerStart", start);
    const settled = hooks.settle(1000);
    await clock.advance(1000);
    await settled;
    expect(logged).toEqual([[expect.any(String), { handlers: 1, limitMs: 1000 }]]);
  });

  it("settle at once when nothing runs", async () => {
    const { hooks, clock } = setUp();
    hooks.on("workerStart", () => undefined);
    hooks.emit("workerStart", start);
    await hooks.settle(1000);
    expect(clock.pending).toBe(0);
  });

  it("refuse events that do not exist, and what is no function", () => {
    const { hooks } = setUp();
    expect(() => hooks.on("jobCompleted" as "jobComplete", () => undefined)).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_UNKNOWN",
        message: "Unknown hook `jobCompleted`, did you mean `jobComplete`?",
      }),
    );
    expect(() => hooks.on("jobStart", undefined as never)).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message: "The handler of hook `jobStart` must be a function, found undefined.",
      }),
    );
  });

  it("have every event of the table", () => {
    const { hooks } = setUp();
    for (const name of EVENT_NAMES) hooks.on(name, () => undefined);
    expect(EVENT_NAMES.every((name) => hooks.has(name))).toBe(true);
  });

  it("are all that a plugin needs", async () => {
    const { hooks } = setUp();
    let started = 0;
    const plugin: Plugin = {
      name: "count",
      register: (given) => void given.on("workerStart", () => void (started += 1)),
    };
    await plugin.register(hooks);
    hooks.emit("workerStart", start);
    expect(started).toBe(1);
  });
});

describe("the client and the metrics of hooks", () => {
  const counts = { slots: 2, running: 1, cached: 0, leftBehind: 0, unwritten: 0, stuck: 0, unrecovered: 0 };
  const metrics = { ...counts, headScanAgeMs: 5, idle: false, heartbeatAgeMs: 7, isListening: true };
  const client = {} as Client;

  it("are refused before there is a worker, and are those of the worker afterwards", () => {
    const hooks = createHooks({ logger: silentLogger });
    const refusal = (part: string) => expect.objectContaining({ code: "HOWDAH_HOOKS_UNAVAILABLE", message: part });
    expect(() => hooks.client).toThrow(refusal(expect.stringContaining("from the event `workerInit` on") as string));
    expect(() => hooks.metrics()).toThrow(refusal(expect.stringContaining("from the event `workerInit` on") as string));
    hooks.attach(client, { metrics: () => metrics });
    expect([hooks.client, hooks.metrics()]).toEqual([client, metrics]);
  });

  it("are a client without metrics when there is no worker", () => {
    const hooks = createHooks({ logger: silentLogger });
    hooks.attach(client);
    expect(hooks.client).toBe(client);
    expect(() => hooks.metrics()).toThrow("only those of a worker have metrics");
  });
});
