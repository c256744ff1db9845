import { describe, expect, it } from "vitest";
import { readOptions } from "../../../runtime/options.ts";
import { checkLocalQueue, LOCAL_QUEUE } from "./options.ts";

function read(localQueue: unknown, pollIntervalMs = 1_000) {
  const settings = readOptions("worker", { localQueue }, { localQueue: LOCAL_QUEUE }).localQueue;
  if (settings) checkLocalQueue(settings, pollIntervalMs);
  return settings;
}

const DEFAULTS = { size: 100, ttlMs: 300_000, refetchDelay: undefined, queueCount: 1 };

describe("the option localQueue", () => {
  it("is off by default, and when it is false", () => {
    expect(read(undefined)).toBeUndefined();
    expect(read(false)).toBeUndefined();
  });

  it.each([
    ["true", true],
    ["an empty object", {}],
  ])("has defaults for %s", (_, given) => {
    expect(read(given)).toEqual(DEFAULTS);
  });

  it("takes what is given and fills in the rest", () => {
    expect(read({ size: 7, ttl: "3s", queueCount: 3 })).toEqual({ ...DEFAULTS, size: 7, ttlMs: 3_000, queueCount: 3 });
    expect(read({ size: 8, ttl: 4_000, queueCount: 2 })).toEqual({ ...DEFAULTS, size: 8, ttlMs: 4_000, queueCount: 2 });
    expect(read({ size: 2_147_483_647 })?.size).toBe(2_147_483_647);
  });

  it("has defaults for the refetch delay, and takes what is given", () => {
    const defaults = { durationMs: 100, threshold: 0, maxAbortThreshold: undefined };
    expect(read({ refetchDelay: false })?.refetchDelay).toBeUndefined();
    expect(read({ refetchDelay: true })?.refetchDelay).toEqual(defaults);
    expect(read({ refetchDelay: {} })?.refetchDelay).toEqual(defaults);
    const given = { duration: "50ms", threshold: 2, maxAbortThreshold: 9 } as const;
    expect(read({ refetchDelay: given })?.refetchDelay).toEqual({ durationMs: 50, threshold: 2, maxAbortThreshold: 9 });
  });

  it.each([
    [{ size: 0 }, "Worker option `localQueue.size` must be a whole number from 1 to 2147483647, found 0."],
    [{ size: 2_147_483_648 }, "`localQueue.size` must be a whole number from 1 to 2147483647, found 2147483648."],
    [{ size: -1 }, "`localQueue.size` must be"],
    [{ size: 1.5 }, "`localQueue.size` must be"],
    [{ size: "10" }, "`localQueue.size` must be"],
    [{ queueCount: 0 }, "Worker option `localQueue.queueCount` must be a whole number of at least 1, found 0."],
    [{ ttl: 0 }, "Worker option `localQueue.ttl` must be a duration of at least 1 ms, found 0."],
    [{ ttl: Number.POSITIVE_INFINITY }, "Worker option `localQueue.ttl` must be a duration"],
    [{ ttl: Number.NaN }, "Worker option `localQueue.ttl` must be a duration"],
    [{ ttl: -5 }, "Worker option `localQueue.ttl` must be a duration"],
    [{ refetchDelay: { threshold: -1 } }, "`localQueue.refetchDelay.threshold` must be a whole number of at least 0"],
    [{ refetchDelay: { maxAbortThreshold: 0 } }, "`localQueue.refetchDelay.maxAbortThreshold` must be a whole number"],
    [{ refetchDelay: { duration: "soon" } }, "Worker option `localQueue.refetchDelay.duration` must be a duration"],
    [5, "Worker option `localQueue` must be true, false or an object, found 5."],
    [null, "Worker option `localQueue` must be true, false or an object, found null."],
  ])("refuses %o, and says which option, what was found and what is allowed", (given, message) => {
    expect(() => read(given)).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message: expect.stringContaining(message) }),
    );
  });

  it.each([
    [{ sizee: 1 }, "Unknown worker option `localQueue.sizee`, did you mean `localQueue.size`?"],
    [
      { refetchDelay: { treshold: 1 } },
      "Unknown worker option `localQueue.refetchDelay.treshold`, did you mean `localQueue.refetchDelay.threshold`?",
    ],
  ])("knows what was meant by %o", (given, message) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_UNKNOWN", message }));
  });

  it("refuses a refetch delay that is longer than the poll interval, and names both", () => {
    const refetchDelay = { duration: "2s" };
    expect(read({ refetchDelay }, 2_000)).toBeDefined();
    expect(() => read({ refetchDelay }, 1_999)).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message:
          "Worker option `localQueue.refetchDelay.duration` (2000 ms) must not be larger than `pollInterval` (1999 ms).",
      }),
    );
    expect(() => read({ refetchDelay: true }, 50)).toThrow("(100 ms) must not be larger than `pollInterval` (50 ms)");
  });
});
