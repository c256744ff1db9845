import { describe, expect, it } from "vitest";
import { createRecordingLogger } from "../../test/harness/worker.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { readDatabaseClock, warnOfSkew } from "./clock-skew.ts";
import type { Executor } from "./driver.ts";

const START_MS = Date.UTC(2026, 2, 1);

/** Reads the clock of a database that is `aheadMs` ahead, over a way that takes `wayMs` there and back. */
async function warned(aheadMs: number, wayMs = 0) {
  const clock = createManualClock(START_MS);
  const logger = createRecordingLogger();
  const executor: Executor = {
    async query() {
      await clock.sleep(wayMs);
      return { rows: [[String((START_MS + wayMs / 2 + aheadMs) / 1_000)]], count: 1 };
    },
  };
  const reading = readDatabaseClock(executor, clock, 1_000);
  await clock.advance(wayMs);
  warnOfSkew(logger, await reading);
  return logger.entries;
}

describe("the clocks of the database and of the process", () => {
  it.each([0, 30_000, -30_000])("may differ by %i ms", async (aheadMs) => {
    expect(await warned(aheadMs)).toEqual([]);
  });

  it.each([
    [-95_000, "2026-02-28T23:58:25.000Z", 95],
    [95_000, "2026-03-01T00:01:35.000Z", -95],
  ])("are warned of with both times when they differ by %i ms", async (databaseAheadMs, databaseTime, aheadSeconds) => {
    expect(await warned(databaseAheadMs)).toEqual([
      {
        level: "warn",
        message: expect.stringMatching(
          /^The clock of this process and that of the database differ by more than 30 seconds/,
        ),
        fields: { processTime: "2026-03-01T00:00:00.000Z", databaseTime, aheadSeconds },
      },
    ]);
  });

  it("are given the benefit of half the time that the answer took", async () => {
    expect(await warned(34_000, 10_000)).toEqual([]);
    expect(await warned(36_000, 10_000)).toHaveLength(1);
  });

  it("are not compared when a driver answers something else", async () => {
    const logger = createRecordingLogger();
    const reading = await readDatabaseClock({ query: async () => ({ rows: [], count: 0 }) }, createManualClock(), 1);
    warnOfSkew(logger, reading);
    expect(logger.entries).toEqual([]);
  });
});
