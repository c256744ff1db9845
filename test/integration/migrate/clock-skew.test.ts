import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { createRecordingLogger, createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterEach(() => {
  vi.restoreAllMocks();
});

afterAll(async () => {
  await database.drop();
});

const tasks = [defineTask({ identifier: "job", run: () => undefined })];

/** Sets the clock of the machine forward, or back with a negative number, as far as this process sees it. */
function setMachine(aheadMs: number): void {
  const now = systemClock.now;
  vi.spyOn(systemClock, "now").mockImplementation(() => now() + aheadMs);
}

/** What a worker and then a client warn of at their start. */
async function warnings() {
  const logger = createRecordingLogger();
  await using worker = await createTestWorker(database, { tasks, logger });
  await using _client = await createClient({ connectionString: database.connectionString, migrate: false, logger });
  await worker.runOnce();
  return logger.entries.filter(({ level }) => level === "warn");
}

describe("a machine whose clock is not that of the database", () => {
  it.each([600_000, -600_000])(
    "is warned of once by each worker and client when it is off by %i ms",
    async (aheadMs) => {
      const message = /^The clock of this process and that of the database differ/;
      setMachine(aheadMs);
      const warned = await warnings();
      expect(warned.map(({ message: said }) => said)).toEqual([
        expect.stringMatching(message),
        expect.stringMatching(message),
      ]);
      for (const { fields } of warned) {
        const apartMs = Date.parse(String(fields["processTime"])) - Date.parse(String(fields["databaseTime"]));
        expect(Math.abs(apartMs / 1_000 - Number(fields["aheadSeconds"]))).toBeLessThan(1);
        expect(Math.sign(apartMs)).toBe(Math.sign(aheadMs));
      }
    },
  );

  it("is not spoken of while both agree", async () => {
    expect(await warnings()).toEqual([]);
  });

  it("is not spoken of to a test that passes a clock of its own", async () => {
    const clock = createShiftedClock();
    clock.jump(600_000);
    const logger = createRecordingLogger();
    await using _worker = await createTestWorker(database, { tasks, logger, clock });
    expect(logger.messages("warn")).toEqual([]);
  });
});
