import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";

describe("a claimed job", () => {
  it("decodes what the claim answered", () => {
    const job = claimedJob({
      id: "9007199254740993",
      queueId: "4",
      queueName: "mail",
      priority: "-10",
      attempts: "3",
      maxAttempts: "5",
      payload: '{"to":"x"}',
    });
    expect(job).toMatchObject({
      id: "9007199254740993",
      task: "t",
      queueId: 4,
      queueName: "mail",
      priority: -10,
      attempts: 3,
      maxAttempts: 5,
      payload: { to: "x" },
      lockedBy: "w",
      claimedAt: "1767225600000000",
      state: "running",
      lockedAt: new Date("2026-01-01T00:00:00.000Z"),
    });
  });

  it("has the values of a plain job where the answer says nothing", () => {
    const job = claimedJob({ priority: null, attempts: null, maxAttempts: null });
    expect(job).toMatchObject({
      priority: 0,
      attempts: 1,
      maxAttempts: 25,
      jobKey: null,
      flags: [],
      lastError: null,
      revision: 0,
      queueId: null,
      queueName: null,
    });
    expect([job.createdAt, job.updatedAt]).toEqual([job.runAt, job.runAt]);
  });

  it.each<[string, { readonly runAt: string; readonly createdAt?: string }, number]>([
    ["since it was due", { runAt: "-3000" }, 3_000],
    ["since it was added, when that was later", { runAt: "-3000", createdAt: "-1000" }, 1_000],
    ["since it was due, when that was later", { runAt: "-1000", createdAt: "-3000" }, 1_000],
    ["not at all, when clocks differ", { runAt: "1000" }, 0],
  ])("knows how long it has waited: %s, and since it was claimed", (_, { runAt, createdAt }, waitedMs) => {
    const at = (ms: string): string => String(1_767_225_600_000_000 + 1_000 * Number(ms));
    const extras = createdAt === undefined ? null : JSON.stringify({ createdAt: at(createdAt) });
    const job = claimedJob({ runAt: at(runAt), extras }, { sentAt: 50 });
    expect(job.waitedMs(57)).toBe(waitedMs + 7);
  });

  it("decodes the extras", () => {
    const extras = JSON.stringify({
      key: "k",
      flags: {
        __proto__: null,
        a: true,
        constructor: true,
      },
      lastError: "no",
      revision: 2,
      createdAt: "1000000",
      updatedAt: "-1500000",
      recoveries: 1,
    });
    expect(claimedJob({ extras })).toMatchObject({
      jobKey: "k",
      flags: ["a", "constructor"],
      lastError: "no",
      revision: 2,
      createdAt: new Date(1e3),
      updatedAt: new Date(-1500),
    });
  });

  it.each([
    ["-1", -0.001],
    ["-62135596800000000", -62_135_596_800_000],
    ["-9223372036854775808", -8.64e15],
    ["9223372036854775807", 8.64e15],
  ])("shows a time of %s microseconds as the nearest date there is", (micros, ms) => {
    expect(claimedJob({ runAt: micros }).runAt).toEqual(new Date(ms));
  });

  it("keeps the microseconds of its place", () => {
    expect(claimedJob({ id: "12", runAt: "-1767225600000001" }).position).toEqual({
      at: "-1767225600000001",
      id: "12",
    });
  });

  it("decodes a payload once, and hands out the same object", () => {
    const job = claimedJob({ payload: "[1]" });
    expect(job.payload).toBe(job.payload);
    expect(claimedJob({ payload: "null" }).payload).toBeNull();
  });

  it("has no task name when the worker no longer knows the task", () => {
    expect(claimedJob({ taskId: "7" }).task).toBe("");
  });

  it("shows everything but the payload in a log", () => {
    const shown = JSON.parse(JSON.stringify(claimedJob({ payload: '"secret"' }))) as object;
    expect(Object.keys(shown)).not.toContain("payload");
    expect(shown).toMatchObject({ id: "1", task: "t", state: "running" });
  });
});

it("orders claimed jobs by priority, microsecond and id, as numbers", () => {
  const place = fc.tuple(fc.integer({ min: -32_768, max: 32_767 }), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.nat());
  fc.assert(
    fc.property(place, place, (a, b) => {
      const [first, second] = [a, b].map(([priority, micros, id]) =>
        claimedJob({ priority: String(priority), runAt: String(micros), id: String(id) }),
      );
      if (!first || !second) return;
      const [expected] = a.map((part, index) => compare(part, b[index] ?? 0)).filter((order) => order !== 0);
      expect(Math.sign(first.compare(second))).toBe(expected ?? 0);
    }),
  );
});

function compare(a: number | bigint, b: number | bigint): number {
  return Number(a > b) - Number(a < b);
}

describe("a job of a queue with rules", () => {
  const of = (extras: object) => claimedJob({ queueId: "7", extras: JSON.stringify(extras) });

  it("knows the lanes that are locked with it", () => {
    expect(claimedJob({ queueId: "7" })).toMatchObject({ lane: null, lanes: [], locksMore: true, share: 1 });
    expect(claimedJob()).toMatchObject({ lane: null, lanes: [], locksMore: false });
    expect(of({ lane: 0 })).toMatchObject({ lane: 0, pool: null, lanes: [], locksMore: false });
    expect(of({ lane: 3, share: 5 })).toMatchObject({ lanes: [{ ownerId: 7, lane: 3 }], locksMore: true, share: 5 });
    expect(of({ lane: 0, pool: 2, poolLane: 4 })).toMatchObject({ lanes: [{ ownerId: -2, lane: 4 }], locksMore: true });
    expect(of({ lane: 3, pool: 2, poolLane: 4 }).lanes).toEqual([
      { ownerId: 7, lane: 3 },
      { ownerId: -2, lane: 4 },
    ]);
  });

  it("knows what the database's clock shows", () => {
    const job = claimedJob({}, { claimedAtUs: 1_000_000, sentAt: 50 });
    expect([job.databaseTime(50), job.databaseTime(60.5)]).toEqual([1_000_000, 1_010_500]);
  });
});
