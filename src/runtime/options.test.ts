import { describe, expect, expectTypeOf, it } from "vitest";
import {
  boolean,
  custom,
  duration,
  func,
  integer,
  list,
  nested,
  number,
  object,
  oneOf,
  required,
  string,
  switchable,
} from "./option-kinds.ts";
import { invalidOption, readOptions } from "./options.ts";

const shape = {
  concurrency: integer({ min: 1, default: 4 }),
  pollInterval: duration({ min: 1, default: "1s" }),
  connectionString: string(),
  localQueue: switchable({
    size: integer({ min: 1, max: 10_000, default: 100 }),
    ttl: duration({ default: "5m" }),
    refetchDelay: switchable({ duration: duration({ default: "100ms" }), threshold: integer({ min: 0, default: 0 }) }),
  }),
  shutdown: nested({ gracePeriod: duration({ default: "5s" }), osSignals: boolean({ default: true }) }),
  forbiddenFlags: list(string({ maxLength: 3 })),
};

function read(given: unknown) {
  return readOptions("worker", given, shape);
}

describe("readOptions", () => {
  it("fills in defaults, and gives durations in milliseconds under a name that says so", () => {
    expect(read({})).toEqual({
      concurrency: 4,
      pollIntervalMs: 1000,
      connectionString: undefined,
      localQueue: undefined,
      shutdown: { gracePeriodMs: 5000, osSignals: true },
      forbiddenFlags: [],
    });
    expect(read(undefined)).toEqual(read({ concurrency: undefined }));
  });

  it("is typed", () => {
    const options = read({ localQueue: true });
    expectTypeOf(options.concurrency).toEqualTypeOf<number>();
    expectTypeOf(options.pollIntervalMs).toEqualTypeOf<number>();
    expectTypeOf(options.connectionString).toEqualTypeOf<string | undefined>();
    expectTypeOf(options.shutdown.osSignals).toEqualTypeOf<boolean>();
    expectTypeOf(options.localQueue?.ttlMs).toEqualTypeOf<number | undefined>();
    expectTypeOf(options.forbiddenFlags).toEqualTypeOf<readonly string[]>();
    // @ts-expect-error -- a duration is only there in milliseconds
    expect(options.pollInterval).toBeUndefined();
  });

  it("keeps what was given", () => {
    expect(
      read({
        concurrency: 1,
        pollInterval: 250,
        connectionString: "x",
        localQueue: { ttl: "1h", refetchDelay: true },
        forbiddenFlags: ["a", "b"],
      }),
    ).toMatchObject({
      concurrency: 1,
      pollIntervalMs: 250,
      connectionString: "x",
      localQueue: { size: 100, ttlMs: 3_600_000, refetchDelay: { durationMs: 100, threshold: 0 } },
      forbiddenFlags: ["a", "b"],
    });
  });

  it("reads options that are inherited", () => {
    class Settings {
      get concurrency(): number {
        return 7;
      }
    }
    expect(read(new Settings()).concurrency).toBe(7);
  });

  it.each([
    [{ conccurency: 5 }, "Unknown worker option `conccurency`, did you mean `concurrency`?"],
    [{ poll_interval: undefined }, "Unknown worker option `poll_interval`, did you mean `pollInterval`?"],
    [{ localQueue: { sizee: 5 } }, "Unknown worker option `localQueue.sizee`, did you mean `localQueue.size`?"],
    [
      { localQueue: { refetchDelay: { treshold: 1 } } },
      "Unknown worker option `localQueue.refetchDelay.treshold`, did you mean `localQueue.refetchDelay.threshold`?",
    ],
    [
      { shutdown: { zzz: 1 } },
      "Unknown worker option `shutdown.zzz`. Known: `shutdown.gracePeriod`, `shutdown.osSignals`.",
    ],
  ])("refuses the names in %j", (given, message) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_UNKNOWN", message }));
  });

  it.each([JSON.parse('{"__proto__":1}'), { constructor: 1 }, { toString: 1 }])("refuses the names of %o", (given) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_UNKNOWN" }));
  });

  it.each([
    [{ concurrency: 0 }, "Worker option `concurrency` must be a whole number of at least 1, found 0."],
    [{ concurrency: "5" }, 'Worker option `concurrency` must be a whole number of at least 1, found "5".'],
    [{ concurrency: 1.5 }, "Worker option `concurrency` must be a whole number of at least 1, found 1.5."],
    [{ concurrency: null }, "Worker option `concurrency` must be a whole number of at least 1, found null."],
    [{ pollInterval: 0 }, "Worker option `pollInterval` must be a duration of at least 1 ms, found 0."],
    [
      { connectionString: "" },
      "Worker option `connectionString` must be a text that is not empty, found an empty string.",
    ],
    [
      { localQueue: { size: 10_001 } },
      "Worker option `localQueue.size` must be a whole number from 1 to 10000, found 10001.",
    ],
    [{ localQueue: 5 }, "Worker option `localQueue` must be true, false or an object, found 5."],
    [{ localQueue: null }, "Worker option `localQueue` must be true, false or an object, found null."],
    [{ shutdown: true }, "Worker option `shutdown` must be an object, found true."],
    [{ shutdown: { osSignals: 1 } }, "Worker option `shutdown.osSignals` must be true or false, found 1."],
    [{ forbiddenFlags: "a" }, 'Worker option `forbiddenFlags` must be a list, found "a".'],
    [{ forbiddenFlags: ["a", 5] }, "Worker option `forbiddenFlags[1]` must be a text of 1 to 3 characters, found 5."],
    [{ forbiddenFlags: [undefined] }, "Worker option `forbiddenFlags[0]` must not be missing, found undefined."],
    [null, "Worker options must be an object, found null."],
    [[], "Worker options must be an object, found a list of 0."],
    ["postgres://u:secret@h/db", "Worker options must be an object, found a string."],
  ])("refuses %j", (given, message) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message }));
  });
});

describe("the kinds of options", () => {
  it("counts characters as PostgreSQL does", () => {
    expect(read({ forbiddenFlags: ["🐘🐘🐘"] }).forbiddenFlags).toEqual(["🐘🐘🐘"]);
    expect(() => read({ forbiddenFlags: ["🐘🐘🐘🐘"] })).toThrow("a text of 1 to 3 characters");
  });

  it("takes one of a list of texts", () => {
    const mode = { mode: oneOf(["fast", "slow"], { default: "fast" }) };
    expect(readOptions("x", {}, mode).mode).toBe("fast");
    expectTypeOf(readOptions("x", {}, mode).mode).toEqualTypeOf<"fast" | "slow">();
    expect(() => readOptions("x", { mode: "quick" }, mode)).toThrow(
      'X option `mode` must be one of "fast", "slow", found "quick".',
    );
  });

  it("takes numbers within limits", () => {
    const jitter = { jitter: number({ min: 0, max: 1 }) };
    expect(readOptions("x", { jitter: 0.5 }, jitter).jitter).toBe(0.5);
    for (const wrong of [-0.1, 1.1, Number.NaN, "1"]) {
      expect(() => readOptions("x", { jitter: wrong }, jitter)).toThrow("must be a number from 0 to 1");
    }
  });

  it("passes functions and objects on, and asks for the methods that are needed", () => {
    const kinds = { done: func<() => void>(), logger: object<{ info(): void }>(["info"]), state: object() };
    const given = { done: () => undefined, logger: { info: () => undefined }, state: new Map() };
    expect(readOptions("x", given, kinds)).toEqual(given);
    expect(() => readOptions("x", { done: 1 }, kinds)).toThrow("X option `done` must be a function, found 1.");
    expect(() => readOptions("x", { logger: {} }, kinds)).toThrow("must be an object with info(), found an object.");
  });

  it("asks for what is required", () => {
    const kinds = { name: required(string()), every: required(duration()) };
    expectTypeOf(readOptions("x", { name: "n", every: 5 }, kinds)).toEqualTypeOf<{
      readonly name: string;
      readonly everyMs: number;
    }>();
    expect(() => readOptions("job", { every: 5 }, kinds)).toThrow("Job option `name` is required.");
  });

  it("leaves rules of its own to a custom option, and does not call it for nothing", () => {
    const kinds = {
      even: custom((given, place) => {
        if (given === 2) return "two" as const;
        throw invalidOption(place, "must be two", given);
      }),
    };
    expect(readOptions("x", {}, kinds).even).toBeUndefined();
    expect(readOptions("x", { even: 2 }, kinds).even).toBe("two");
    expect(() => readOptions("x", { even: 3 }, kinds)).toThrow("X option `even` must be two, found 3.");
  });
});

describe("spellings", () => {
  const place = { owner: "worker", spellings: { slots: "concurrency", url: "connectionString" } };
  const respelled = (given: unknown) => readOptions(place, given, shape);

  it("are other names of an option", () => {
    expect(respelled({ slots: 9, url: "x" })).toMatchObject({ concurrency: 9, connectionString: "x" });
    expect(respelled({ slots: undefined, concurrency: 9 })).toMatchObject({ concurrency: 9 });
    expect(respelled({ slots: 9, concurrency: undefined })).toMatchObject({ concurrency: 9 });
    expect(respelled({ slots: undefined })).toMatchObject({ concurrency: 4 });
  });

  it("are refused beside the name itself, and checked like it", () => {
    expect(() => respelled({ slots: 9, concurrency: 9 })).toThrow(
      "Options `slots` and `concurrency` of the worker are the same. Specify only one of them.",
    );
    expect(() => respelled({ slots: 0 })).toThrow("Worker option `concurrency` must be a whole number");
  });

  it("count where they are declared only", () => {
    expect(() => respelled({ localQueue: { slots: 1 } })).toThrow("Unknown worker option `localQueue.slots`");
    expect(() => respelled({ slot: 1 })).toThrow("Unknown worker option `slot`");
  });
});
