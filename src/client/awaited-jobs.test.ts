import { describe, expect, it } from "vitest";
import { sqlError } from "../../test/harness/job-table.ts";
import type { Driver, ListenHandlers, Query } from "../postgres/driver.ts";
import { createSchema } from "../postgres/schema.ts";
import { silentLogger } from "../runtime/logger.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { AwaitedJobs } from "./awaited-jobs.ts";

/** Jobs that are awaited, and a database in which they end when the test says so. */
function setUp(options: { listen?: boolean } = {}) {
  const clock = createManualClock();
  const asked: { at: number; ids: string }[] = [];
  const ended = new Map<string, string>();
  const errors: unknown[] = [];
  const ears: ListenHandlers[] = [];
  let closed = 0;
  const driver = {
    ...(options.listen === false ? { capabilities: { listen: false, connections: 1 } } : {}),
    async query({ values: [ids] = [] }: Query) {
      asked.push({ at: clock.monotonic(), ids: ids ?? "" });
      if (errors.length > 0) throw errors.shift();
      const rows = (ids ?? "")
        .slice(1, -1)
        .split(",")
        .flatMap((id) => (ended.has(id) ? [[id, "c", ended.get(id) ?? null, null, "t"]] : []));
      return { rows, count: rows.length };
    },
    async listen(_channels: readonly string[], handlers: ListenHandlers) {
      ears.push(handlers);
      return { close: async () => void (closed += 1) };
    },
  } as Partial<Driver> as Driver;
  const jobs = new AwaitedJobs({ clock, driver, logger: silentLogger, schema: createSchema("howdah") });
  const told: string[] = [];
  const wait = (id: string, signal = new AbortController().signal) =>
    void jobs.wait(id, signal).then(
      (job) => told.push(`${id} ${job.state} ${job.result}`),
      (error: unknown) => told.push(`${id} ${String((error as { code?: string }).code ?? error)}`),
    );
  const notify = (...ids: string[]) => ears.at(-1)?.notified("howdah:done", JSON.stringify({ schema: "howdah", ids }));
  return { clock, jobs, wait, ended, asked, told, notify, errors, ears, closed: () => closed };
}

describe("jobs that are awaited", () => {
  it("are asked about at once, and then all together once a second", async () => {
    const { clock, wait, asked } = setUp();
    for (let n = 1; n <= 1_000; n++) wait(String(n));
    await clock.advance(10_000);
    expect(asked.map(({ at }) => at)).toEqual([
      0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000,
    ]);
    expect(asked.every(({ ids }) => ids.split(",").length === 1_000)).toBe(true);
  });

  it("are told to all who wait for one, once, however it became known", async () => {
    const { clock, jobs, wait, ended, told, notify } = setUp();
    wait("1");
    wait("1");
    wait("2");
    await clock.advance(100);
    ended.set("1", "7");
    notify("1", "9");
    notify("1");
    await clock.advance(25);
    expect(told).toEqual(["1 completed 7", "1 completed 7"]);
    expect(jobs.size).toBe(1);
    ended.set("2", "8");
    await clock.advance(1_000);
    expect(told).toEqual(["1 completed 7", "1 completed 7", "2 completed 8"]);
    expect(jobs.size).toBe(0);
  });

  it("are found by the question of the next second when a notification is lost, and at once when it listens again", async () => {
    const { clock, wait, ended, told, asked, ears } = setUp();
    wait("1");
    await clock.advance(0);
    ended.set("1", "7");
    await clock.advance(999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(["1 completed 7"]);
    wait("2");
    await clock.advance(100);
    ended.set("2", "8");
    ears[0]?.down(new Error("lost"));
    ears[0]?.up({} as never);
    await clock.advance(0);
    expect(told).toEqual(["1 completed 7", "2 completed 8"]);
    expect(asked).toHaveLength(4);
  });

  it("are asked about no oftener than every 25 ms, whatever is announced", async () => {
    const { clock, wait, asked, notify } = setUp();
    for (let n = 1; n <= 100; n++) wait(String(n));
    for (let ms = 0; ms < 1_000; ms++) {
      notify(String((ms % 100) + 1));
      await clock.advance(1);
    }
    expect(asked.length).toBeLessThanOrEqual(42);
  });

  it("are polled for where nothing can be heard", async () => {
    const { clock, wait, ended, told, ears } = setUp({ listen: false });
    wait("1");
    await clock.advance(10);
    ended.set("1", "7");
    await clock.advance(1_000);
    expect([told, ears.length]).toEqual([["1 completed 7"], 0]);
  });

  it("go on to be awaited while the database is away, and reject when it refuses the question", async () => {
    const { clock, wait, ended, told, errors } = setUp();
    errors.push(sqlError("08006"), sqlError("57P01"));
    wait("1");
    await clock.advance(2_000);
    expect(told).toEqual([]);
    ended.set("1", "7");
    await clock.advance(1_000);
    expect(told).toEqual(["1 completed 7"]);
    errors.push(sqlError("42501"));
    wait("2");
    await clock.advance(1_000);
    expect(told).toEqual(["1 completed 7", "2 42501"]);
  });

  it("are given up one by one, by a signal, and all of them when the client closes", async () => {
    const { clock, jobs, wait, told, asked, closed } = setUp();
    const stop = new AbortController();
    wait("1", stop.signal);
    wait("1");
    wait("2", stop.signal);
    await clock.advance(0);
    stop.abort("enough");
    await clock.advance(1_000);
    expect(told).toEqual(["1 enough", "2 enough"]);
    expect(asked.at(-1)?.ids).toBe("{1}");
    await jobs.close();
    wait("3");
    await clock.advance(5_000);
    expect(told).toEqual(["1 enough", "2 enough", "1 HOWDAH_CLIENT_CLOSED", "3 HOWDAH_CLIENT_CLOSED"]);
    expect([clock.pending, closed()]).toEqual([0, 1]);
  });

  it("cost neither a statement nor a connection when there are none any more", async () => {
    const { clock, wait, ended, asked, closed, ears } = setUp();
    ended.set("1", "7");
    wait("1");
    await clock.advance(9_000);
    expect([asked.length, closed()]).toEqual([1, 0]);
    await clock.advance(1_000);
    expect([asked.length, closed(), clock.pending]).toEqual([1, 1, 0]);
    wait("1");
    await clock.advance(100);
    expect([asked.length, ears.length]).toEqual([2, 2]);
  });

  it("ignore what anyone else says on the channel", async () => {
    const { clock, wait, asked, ears } = setUp();
    wait("1");
    await clock.advance(100);
    for (const payload of ["", "x", "[]", "null", '{"schema":"other","ids":["1"]}', '{"schema":"howdah","ids":3}'])
      ears[0]?.notified("howdah:done", payload);
    await clock.advance(800);
    expect(asked).toHaveLength(1);
  });
});
