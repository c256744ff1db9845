import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { sqlError } from "../../../test/harness/job-table.ts";
import type { Ending } from "../outcome.ts";
import type { Failure, Part } from "./part.ts";
import { countOf, judge, leftOf, partOf, plainToTry, QuarantineEntries, type Entry } from "./quarantine-entries.ts";

function endingsOf(...ids: number[]): Ending[] {
  return ids.map((id) => {
    const job = claimedJob({ id: String(id) });
    return { job, outcome: { kind: "completed" }, durationMs: 1, endsChain: false };
  });
}

const idsOf = ({ endings }: Part): number[] => endings.map(({ job }) => Number(job.id));

/** A quarantine over a database that refuses the endings at fault, one statement a turn. */
class World {
  readonly entries = new QuarantineEntries();
  readonly faults = new Set<number>();
  readonly inside = new Set<number>();
  readonly told: number[] = [];
  successes = 0;

  arrive(...ids: number[]): void {
    for (const id of ids) this.inside.add(id);
    this.entries.arrive({ endings: endingsOf(...ids), attempt: "first" }, this.successes);
  }

  suspect(isKept: boolean, ...ids: number[]): void {
    for (const id of ids) this.inside.add(id);
    const failure: Failure = { part: { endings: endingsOf(...ids), attempt: "again" }, error: sqlError("P0001") };
    this.#tell(this.entries.suspect(isKept ? { ...failure, isKept: true } : failure, this.successes, false));
  }

  /** Another statement of the worker has written something. */
  succeed(): void {
    this.successes += 1;
  }

  turn(): readonly Entry[] {
    const next = this.entries.next();
    if (next.length === 0) return next;
    this.entries.take(next);
    const failure = this.#send(partOf(next));
    const left = failure ? this.#leftOf(next, failure) : [];
    this.#tell(this.entries.settle(next, left));
    return next;
  }

  check(): void {
    const { entries, inside, told, faults } = this;
    expect(entries.size, "no ending is forgotten or held twice").toBe(inside.size);
    expect(entries.stuck).toBeLessThanOrEqual(entries.size);
    expect(new Set(told).size, "told once").toBe(told.length);
    expect(
      told.filter((id) => !faults.has(id)),
      "none is accused that can be written",
    ).toEqual([]);
    const held = [...entries.notAtFault(), ...entries.atFault()].flat();
    expect(held.flatMap(({ part }) => idsOf(part)).toSorted((a, b) => a - b)).toEqual(
      [...inside].toSorted((a, b) => a - b),
    );
  }

  #send(part: Part): Failure | undefined {
    if (idsOf(part).some((id) => this.faults.has(id)))
      return { part: { ...part, attempt: "again" }, error: sqlError("P0001") };
    for (const id of idsOf(part)) this.inside.delete(id);
    this.successes += 1;
    return undefined;
  }

  #leftOf(tried: readonly Entry[], failure: Failure): readonly Entry[] {
    const left = leftOf(tried, failure);
    const [only, second] = left;
    if (!only || second) return left;
    expect(plainToTry(only, failure), "what completes has no texts").toBeUndefined();
    return judge(only, failure, { again: undefined, successes: this.successes, open: this.entries.open });
  }

  #tell(faults: readonly { readonly ending: Ending }[]): void {
    this.told.push(...faults.map(({ ending }) => Number(ending.job.id)));
  }
}

describe("a quarantine", () => {
  it("tries what was never sent first, then what may be innocent, then in turn what failed alone and what is stuck", () => {
    const world = new World();
    for (const id of [1, 2, 3]) world.faults.add(id);
    world.suspect(true, 1);
    world.suspect(false, 2);
    world.suspect(false, 3);
    world.arrive(4, 5);
    const turns = Array.from({ length: 6 }, () => idsOf(partOf(world.turn())));
    expect(turns).toEqual([[4, 5], [2], [3], [1], [2], [3]]);
    expect(world.told).toEqual([1, 2, 3]);
  });

  it("halves a part that fails, and tells an ending that fails alone once others were written", () => {
    const world = new World();
    world.faults.add(3);
    world.suspect(false, 1, 2, 3, 4);
    for (let turns = 0; turns < 10; turns++) world.turn();
    expect([world.told, [...world.inside]]).toEqual([[3], [3]]);
    expect(world.entries.isSettled).toBe(true);
  });

  it("tells an ending that fails alone although there is nothing else to write, when it has failed three times", () => {
    const world = new World();
    world.faults.add(1);
    world.suspect(false, 1);
    world.turn();
    world.turn();
    expect(world.told).toEqual([]);
    world.turn();
    expect(world.told).toEqual([1]);
  });

  it("blames a row at once that stayed as it was without an error", () => {
    const world = new World();
    world.faults.add(1).add(2);
    world.suspect(true, 1, 2);
    expect([world.told, world.entries.stuck, world.entries.isSettled]).toEqual([[1, 2], 2, true]);
  });

  it("sends together what has the same attempt, in order", () => {
    const world = new World();
    world.arrive(1, 2);
    world.arrive(3);
    expect(world.entries.next().map(({ part }) => idsOf(part))).toEqual([[1, 2], [3]]);
    expect(countOf(world.turn())).toBe(3);
    expect(world.inside.size).toBe(0);
  });

  it("holds each ending once, accuses none that can be written, and writes all of them in the end", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constantFrom("arrive", "suspect"),
        count: fc.integer({ min: 1, max: 9 }),
        fault: fc.nat(12),
      }),
      fc.record({
        kind: fc.constantFrom("turn", "turn", "turn", "succeed"),
        count: fc.constant(0),
        fault: fc.constant(0),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const world = new World();
        let lastId = 0;
        for (const { kind, count, fault } of steps) {
          const ids = Array.from({ length: count }, () => (lastId += 1));
          if (kind === "turn") world.turn();
          else if (kind === "succeed") world.succeed();
          else {
            const faulty = ids[fault];
            if (faulty !== undefined) world.faults.add(faulty);
            if (kind === "arrive") world.arrive(...ids);
            else world.suspect(false, ...ids);
          }
          world.check();
        }
        for (let turns = 0; turns < 400 && !world.entries.isSettled; turns++) {
          world.turn();
          world.succeed();
          world.check();
        }
        expect([...world.inside].filter((id) => !world.faults.has(id))).toEqual([]);
        expect(world.told.toSorted((a, b) => a - b)).toEqual([...world.inside].toSorted((a, b) => a - b));
        // What was in the way is mended.
        world.faults.clear();
        for (let turns = 0; turns < 400 && world.inside.size > 0; turns++) world.turn();
        expect([world.entries.size, world.entries.stuck]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
