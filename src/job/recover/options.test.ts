import { describe, expect, it } from "vitest";
import { readOptions } from "../../runtime/options.ts";
import { RECOVERY, toRecoverySettings, type RecoveryOptions } from "./options.ts";

const read = (recovery?: boolean | RecoveryOptions) =>
  toRecoverySettings(readOptions("worker", { recovery }, { recovery: RECOVERY }).recovery);

describe("the option recovery", () => {
  it("is on by default", () => {
    expect(read()).toEqual({
      enabled: true,
      heartbeatIntervalMs: 4_000,
      sweepIntervalMs: 5_000,
      heartbeatTimeoutMs: 1_000,
      lockLossTimeoutMs: 8_000,
      sweepThresholdMs: 300_000,
      watchTimeMs: 30_000,
      recoveryDelayMs: 500,
      contactTimeoutMs: 20_000,
      queueDelayMs: 30_000,
      resilientJobFlags: ["infrastructure_resilient"],
      resilientSweepThresholdMultiplier: 3,
      orphanIntervalMs: 600_000,
      orphanThresholdMs: 14_400_000,
    });
    expect(read(true)).toEqual(read());
    expect(read({})).toEqual(read());
  });

  it.each([false, { enabled: false }, { enabled: false, heartbeatInterval: "1m" }])("is off when it is %j", (given) => {
    expect(read(given as RecoveryOptions)).toBeUndefined();
  });

  it("lets what is left out follow from what is given", () => {
    expect(read({ heartbeatInterval: "200ms", sweepInterval: "100ms", resilientJobFlags: [] })).toMatchObject({
      heartbeatTimeoutMs: 500,
      lockLossTimeoutMs: 1_700,
      watchTimeMs: 600,
      contactTimeoutMs: 1_000,
      queueDelayMs: 1_500,
      resilientJobFlags: [],
    });
  });

  it("leaves a worker whose connections are lost without a word the time to be heard of again", () => {
    expect(read({ heartbeatTimeout: "2s" })).toMatchObject({ lockLossTimeoutMs: 10_000 });
    expect(read({ lockLossTimeout: "7s" })).toMatchObject({ lockLossTimeoutMs: 7_000 });
    expect(read({ heartbeatInterval: "30s" })).toMatchObject({ heartbeatTimeoutMs: 1_000, lockLossTimeoutMs: 60_000 });
  });

  it.each<[RecoveryOptions, RegExp]>([
    [
      { lockLossTimeout: "6s" },
      /`recovery\.lockLossTimeout` \(6000 ms\) must be at least 7000 ms: `heartbeatInterval` \(4000 ms\) and three times `heartbeatTimeout` \(1000 ms\)/,
    ],
    [{ heartbeatTimeout: "2s", lockLossTimeout: "9s" }, /must be at least 10000 ms/],
    [{ sweepThreshold: "7s" }, /`recovery\.sweepThreshold` .* twice `heartbeatInterval`/],
    [{ contactTimeout: "7s" }, /`recovery\.contactTimeout` .* twice `heartbeatInterval`/],
    [{ queueDelay: "19s" }, /`recovery\.queueDelay` \(19000 ms\) must be at least 20000 ms: `contactTimeout`/],
    [{ heartbeatInterval: 5 }, /`recovery\.heartbeatInterval` .* at least 10 ms/],
    [
      { heartbeatIntervall: "4s" } as RecoveryOptions,
      /did you mean `recovery\.heartbeatInterval`|did you mean `heartbeatInterval`/,
    ],
  ])("refuses %j, and says why", (given, message) => {
    expect(() => read(given)).toThrow(message);
  });
});
