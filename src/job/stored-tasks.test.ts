import { describe, expect, it } from "vitest";
import { createRecordingLogger } from "../../test/harness/worker.ts";
import type { Driver, Query, QueryResult } from "../postgres/driver.ts";
import { createSchema } from "../postgres/schema.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { StoredTasks } from "./stored-tasks.ts";

/** Stored tasks over a table in memory; `fail` makes the next statements reject. */
function setUp() {
  const clock = createManualClock();
  const logger = createRecordingLogger();
  const table = { nextId: 1, fails: false, foreign: [] as string[], statements: 0 };
  const driver = {
    async query({ text }: Query): Promise<QueryResult> {
      table.statements += 1;
      if (table.fails) throw new Error("database down");
      if (text.includes("distinct")) return { rows: table.foreign.map((name) => [name]), count: 0 };
      return { rows: text.includes("insert") ? [] : [[String(table.nextId), "t"]], count: 0 };
    },
  } as unknown as Driver;
  const stored = new StoredTasks({
    driver,
    schema: createSchema("howdah"),
    clock,
    logger,
    tasks: new Map([["t", {}]]),
  });
  return { clock, logger, table, stored };
}

describe("stored tasks", () => {
  it("know the ids after they were registered, and tell when these may have changed", async () => {
    const { stored, table, clock } = setUp();
    let changes = 0;
    await stored.register();
    expect([...stored.identifiersById]).toEqual([[1, "t"]]);
    stored.watch({ taskIdsChanged: () => void (changes += 1) });
    const before = stored.identifiersById;
    table.nextId = 2;
    stored.refresh();
    stored.refresh();
    await clock.advance(0);
    expect([...stored.identifiersById]).toEqual([[2, "t"]]);
    expect([...before]).toEqual([[1, "t"]]);
    expect(changes).toBe(1);
  });

  it("keep the ids they have when registering again fails, say so, and try again when asked", async () => {
    const { stored, table, clock, logger } = setUp();
    await stored.register();
    table.fails = true;
    stored.refresh();
    await clock.advance(0);
    expect([...stored.identifiersById]).toEqual([[1, "t"]]);
    expect(logger.messages("warn")).toEqual(["Registering the tasks again failed"]);
    table.fails = false;
    table.nextId = 3;
    stored.refresh();
    await clock.advance(0);
    expect([...stored.identifiersById]).toEqual([[3, "t"]]);
  });

  it("warn of unknown tasks at once and then once a minute, with at most ten names", async () => {
    const { stored, table, clock, logger } = setUp();
    table.foreign = Array.from({ length: 12 }, (_, n) => `task ${n}`);
    stored.start();
    await clock.advance(0);
    expect(logger.entries).toMatchObject([{ level: "warn", fields: { count: 12 } }]);
    expect(String(logger.entries[0]?.fields["tasks"]).split(", ")).toHaveLength(10);
    await clock.advance(59_999);
    expect(logger.entries).toHaveLength(1);
    await clock.advance(1);
    expect(logger.entries).toHaveLength(2);
    table.foreign = [];
    await clock.advance(60_000);
    expect(logger.entries).toHaveLength(2);
    await stored.stop();
    expect(clock.pending).toBe(0);
  });

  it("look for them quietly while the database is down", async () => {
    const { stored, table, clock, logger } = setUp();
    stored.start();
    table.fails = true;
    await clock.advance(600_000);
    expect(new Set(logger.entries.map(({ level }) => level))).toEqual(new Set(["debug"]));
    expect(table.statements).toBeGreaterThan(2);
    await stored.stop();
  });
});
