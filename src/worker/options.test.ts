import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { defineTask } from "../job/task.ts";
import { readWorkerOptions } from "./options.ts";

const tasks = [defineTask({ identifier: "t", run: () => undefined })];

function read(options: object) {
  return readWorkerOptions({ tasks, ...options });
}

describe("worker options", () => {
  it("have defaults", () => {
    expect(read({})).toMatchObject({
      concurrency: availableParallelism(),
      pollIntervalMs: 1_000,
      localQueue: undefined,
      completeJobBatchDelayMs: 0,
      failJobBatchDelayMs: 0,
      useNotificationDelivery: true,
      preparedStatements: true,
      migrate: true,
      maxConnections: 10,
      connectTimeoutMs: 10_000,
      statementTimeoutMs: 30_000,
      shutdown: { gracePeriodMs: 5_000, abortPeriodMs: 1_000, interruptedJobRetryDelayMs: 30_000, osSignals: true },
    });
  });

  it("take durations as milliseconds or with a unit", () => {
    const options = { pollInterval: 250, shutdown: { gracePeriod: "1m", abortPeriod: "2s" } };
    expect(read(options)).toMatchObject({
      pollIntervalMs: 250,
      shutdown: { gracePeriodMs: 60_000, abortPeriodMs: 2_000, osSignals: true },
    });
  });

  it("take the spellings of graphile-worker where the names are all that differs", () => {
    const pool = { connect() {}, query() {}, on() {} };
    expect(read({ concurrentJobs: 7, maxPoolSize: 12, pgPool: pool })).toMatchObject({
      concurrency: 7,
      maxConnections: 12,
      pool,
    });
    const localQueue = { size: 20, ttl: 1_000, refetchDelay: { durationMs: 50, threshold: 2 } };
    expect(read({ localQueue }).localQueue?.refetchDelay).toMatchObject({ durationMs: 50, threshold: 2 });
  });

  it.each([
    [{ conccurency: 5 }, "Unknown worker option `conccurency`, did you mean `concurrency`?"],
    [{ shutdown: { gracePeriode: 1 } }, "Unknown worker option `shutdown.gracePeriode`, did you mean"],
    [{ concurrency: 0 }, "Worker option `concurrency` must be a whole number"],
    [{ pollInterval: 0 }, "Worker option `pollInterval` must be"],
    [{ pollInterval: "1 hour" }, "Worker option `pollInterval` must be"],
    [{ shutdown: { abortPeriod: -1 } }, "Worker option `shutdown.abortPeriod` must be"],
    [{ useNotificationDelivery: "no" }, "Worker option `useNotificationDelivery` must be true or false"],
    [{ logger: { log: 1 } }, "Worker option `logger` must"],
    [{ plugins: [{}] }, "Worker option `plugins[0]` must"],
    [{ localQueue: { size: 0 } }, "Worker option `localQueue.size` must"],
  ])("refuse %o and say what is allowed", (options, message) => {
    expect(() => read(options)).toThrow(message);
  });
});
