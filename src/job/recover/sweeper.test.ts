import { describe, expect, it } from "vitest";
import { idsOf, setUpLoop } from "../../../test/harness/liveness.ts";
import type { Query, Row } from "../../postgres/driver.ts";

/** A sweeper beside dead workers that have been declared so, of which each statement may answer or throw. */
async function setUpDead(ids: readonly string[], answer: (statement: string, workerId: string) => readonly Row[]) {
  const left = new Map(ids.map((id) => [id, "1"]));
  /** Those whose registration stays, because they hold something. */
  const holding = new Set<string>();
  const statements: string[] = [];
  const look = (): Row[] => [...left].map(([id, swept]) => [id, "1", "lost", swept, "1"]);
  const { clock, loop, refusals, told } = setUpLoop((query: Query): readonly Row[] => {
    const { name, text, values = [] } = query;
    const workerId = idsOf(query)[0] ?? "";
    if (name === "howdah_workers_1") return look();
    if (name === "howdah_beat") return [[workerId]];
    if (name === "howdah_beat_and_look") return [...look(), [workerId, "1", "held", "0", "1", null, "t", "t"]];
    const found = /_howdah_(recover|free_queues|orphans)_v1|delete_stale_workers|_howdah_swept =/.exec(text);
    const statement = found?.[1] ?? found?.[0];
    if (statement === undefined || statement === "orphans") return [];
    statements.push(`${statement} ${workerId}`);
    const rows = answer(statement, workerId);
    if (statement === "_howdah_swept =") left.set(workerId, String(values[1]));
    if (statement === "delete_stale_workers" && !holding.has(workerId)) left.delete(workerId);
    return rows;
  });
  await loop.start();
  const pass = async (ms: number): Promise<readonly string[]> => {
    for (let passed = 0; passed < ms; passed += 1_000) await clock.advance(1_000);
    return statements.splice(0);
  };
  return { left, holding, told, refusals, pass, stop: () => loop.stop() };
}

const [FIRST, SECOND, THIRD] = ["01", "02", "03"].map((end) => `howdah_0123456789abcdef${end}`) as [
  string,
  string,
  string,
];
const refuse = (message: string, code = "P0001"): never => {
  throw Object.assign(new Error(message), { code });
};

describe("a sweeper that is refused something", () => {
  const poisoned = Array.from({ length: 1_000 }, (_, index) => String(index + 1));
  const rows: Row[] = poisoned.map((id) => ["refused", id, FIRST, "t", null, null, "P0001", "no"]);

  it("sends no more than 60 statements a minute after the first ten seconds, and tells of each of 1,000 jobs once", async () => {
    const { left, holding, told, refusals, pass, stop } = await setUpDead([FIRST, SECOND], (statement, workerId) =>
      statement === "recover" && holding.has(workerId) ? rows : [],
    );
    holding.add(FIRST);
    await pass(10_000);
    for (let minute = 0; minute < 6; minute += 1) {
      expect((await pass(60_000)).length).toBeLessThanOrEqual(60);
      if (minute > 2) expect(left.has(SECOND)).toBe(false);
    }
    expect(told).toEqual(poisoned);
    expect(refusals.jobs).toBe(1_000);
    holding.clear();
    await pass(120_000);
    expect(left.size).toBe(0);
    expect(refusals.jobs).toBe(0);
    await stop();
  });

  it.each([
    ["recover", "P0001"],
    ["free_queues", "23514"],
    ["_howdah_swept =", "40001"],
    ["delete_stale_workers", "53100"],
  ])("%s, of one worker: goes on with the others, and tells of it once", async (refused, code) => {
    const { left, told, pass, stop } = await setUpDead([FIRST, SECOND, THIRD], (statement, workerId) =>
      statement === refused && workerId === SECOND ? refuse("no", code) : [],
    );
    const seen = [...(await pass(180_000))];
    expect([...left.keys()]).toEqual([SECOND]);
    expect(told).toEqual([`recover what worker ${SECOND} held: Error: no`]);
    expect(seen.filter((statement) => statement === `${refused} ${SECOND}`).length).toBeLessThan(12);
    await stop();
  });

  it("by a server that refuses all changes: tells in one line, and searches for nothing", async () => {
    const { told, pass, stop } = await setUpDead([FIRST, SECOND, THIRD], () => refuse("no space left", "53100"));
    const statements = await pass(60_000);
    expect(told).toEqual([`recover what worker ${[FIRST, SECOND, THIRD].join(", ")} held: Error: no space left`]);
    expect(new Set(statements)).toEqual(new Set([FIRST, SECOND, THIRD].map((id) => `recover ${id}`)));
    expect(statements.length).toBeLessThanOrEqual(18);
    await stop();
  });

  it("by a server that cannot be written to: fails as a whole, and tells once", async () => {
    const { told, pass, stop } = await setUpDead([FIRST, SECOND], () => refuse("read only", "25006"));
    const statements = await pass(60_000);
    expect(told).toEqual(["look whether others live: Error: read only"]);
    expect(new Set(statements)).toEqual(new Set([`recover ${FIRST}`]));
    await stop();
  });
});
