import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob, claimedRow } from "../../../test/harness/claimed-job.ts";
import { NOTHING } from "../../../test/harness/fake-claims.ts";
import { comparePositions, START, type Position } from "../../postgres/position.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim-answer.ts";
import { toChains, type Chain } from "../chain.ts";
import { ClaimedJob } from "../claimed-job.ts";
import { ClaimMemory } from "./claim-memory.ts";
import type { ClaimPlan, ContinuePlan, SearchPlan } from "./claim-plan.ts";
import { MOST_SKIPPED } from "./skipped-jobs.ts";

const POLL_MS = 1_000;
const MOST_BYTES = 16_777_216;
const WHO = { workerId: "w", taskIds: [1], forbiddenFlags: null, freeing: [], restingTaskIds: [] };

function createMemory(now = 0): ClaimMemory {
  return new ClaimMemory(
    { pollIntervalMs: POLL_MS, maxClaimBytes: MOST_BYTES, claimsById: true, continues: true },
    now,
  );
}

/** A job in the table of the model. Its time is the clock's, which stands for that of the database as well. */
interface Row {
  readonly id: string;
  readonly priority: number;
  readonly at: number;
  readonly queueId: number | null;
  isLocked: boolean;
  isGone: boolean;
  /** It makes claims fail that lock it. */
  isPoisoned: boolean;
  /** Claims have skipped it, so that floors have passed it. */
  isSkipped: boolean;
  /** The worker has heard of it since it was last free, with its time. */
  isAnnounced: boolean;
}

/** A claim that was sent. */
interface Sent {
  readonly plan: Exclude<ClaimPlan, ContinuePlan>;
  readonly tookMs: number;
  /** `undefined` until it is carried out. */
  found: Found | undefined;
}

/** What a claim has locked, and what it says. */
interface Found {
  readonly rows: readonly Row[];
  readonly answer: ClaimAnswer;
}

const positionOf = ({ at, id }: Row): Position => ({ at: String(at), id });
const byPosition = (a: Row, b: Row): number => comparePositions(positionOf(a), positionOf(b));

/** Queues are looked at by pages of this many. */
const PAGE = 2;

/** A table of jobs, as plain as can be, and a worker that claims them as its memory plans. */
class Model {
  now = 1_000;
  readonly memory = createMemory(this.now);
  readonly rows: Row[] = [];
  readonly open: Sent[] = [];
  readonly running: { chain: Chain; rows: readonly Row[] }[] = [];
  readonly lockedQueues = new Set<number>();
  /** What all scans have cost so far. */
  costMs = 0;
  /** How often a statement went on in a queue. */
  continuations = 0;
  #untold: (() => void)[] = [];

  add({ priority, age, queueId, told }: NewRow): void {
    const id = String(this.rows.length + 1);
    const row = { id, priority, at: this.now - age, queueId: queueId === 0 ? null : queueId };
    this.rows.push({ ...row, isLocked: false, isGone: false, isPoisoned: false, isSkipped: false, isAnnounced: false });
    if (told !== "not") this.#untold.push(() => this.#announce([this.rows[Number(id) - 1] as Row], told));
  }

  /** All notifications that were sent arrive. */
  tell(): void {
    for (const tell of this.#untold.splice(0)) tell();
  }

  send(quantity: number, tookMs: number, isCarriedOut: boolean): Sent {
    const plan = this.memory.plan({ quantity, chainLength: 2, mostQueues: 2 }, WHO, this.now);
    expect(plan.wanted.quantity).toBe(quantity);
    if (plan.kind === "continue") return expect.unreachable();
    if (plan.kind === "search") this.#checkSearch(plan);
    const sent: Sent = { plan, tookMs, found: undefined };
    this.open.push(sent);
    if (isCarriedOut) this.#carryOut(sent);
    return sent;
  }

  /** One of the claims under way is answered, or fails with `isLost`. */
  end(index: number, isLost = false): void {
    const [sent] = this.open.splice(index % Math.max(1, this.open.length), 1);
    if (!sent) return;
    const { plan, tookMs } = sent;
    const { rows, answer } = sent.found ?? this.#carryOut(sent);
    this.costMs += tookMs;
    const isRefused = rows.some(({ isPoisoned }) => isPoisoned);
    if (isLost || isRefused) return this.#fail(plan, rows, isRefused);
    const chains = toChains(answer.jobs.map((row) => claimedJob(cellsOf(this.#row(row.id)))));
    const excess =
      plan.kind === "byId"
        ? this.memory.learnById(plan, chains)
        : this.memory.learnSearch(plan, { answer, chains }, this.now);
    expect(excess).toEqual([]);
    for (const chain of chains) this.running.push({ chain, rows: chain.rest.map(({ id }) => this.#row(id)) });
  }

  /** A chain ends: its jobs are done, or go back; the worker may not hear of it. */
  finish(index: number, how: "done" | "back" | "unheard"): void {
    const [ended] = this.running.splice(index % Math.max(1, this.running.length), 1);
    if (!ended) return;
    const { chain, rows } = ended;
    this.#unlock(rows);
    for (const row of rows) row.isGone = how === "done";
    if (how === "unheard") return;
    if (how === "back") for (const job of chain.rest) this.memory.wentBack(job, this.now);
    if (chain.queueId !== null) this.memory.announce({ queueIds: [chain.queueId] }, this.now);
    if (how === "back") this.#untold.push(() => this.#announce(rows, "time"));
  }

  /** A chain is done, and the statement that ends it claims: both happen, or with `isLost` neither. */
  follow(index: number, isLost: boolean): void {
    const queued = this.running.filter(({ chain }) => chain.queueId !== null);
    const ended = queued[index % Math.max(1, queued.length)];
    const queueId = ended?.chain.queueId;
    if (!ended || queueId == null) return;
    const wanted = { quantity: 3, chainLength: 1, mostQueues: 3 };
    const plan = this.memory.plan(wanted, { ...WHO, freeing: [queueId] }, this.now);
    if (plan.kind === "byId") return expect.unreachable();
    if (isLost) return this.memory.failed(plan);
    this.running.splice(this.running.indexOf(ended), 1);
    this.#unlock(ended.rows);
    for (const row of ended.rows) row.isGone = true;
    this.memory.freed([queueId]);
    if (plan.kind === "search") {
      this.open.push({ plan, tookMs: 1, found: undefined });
      return this.end(this.open.length - 1);
    }
    this.continuations += 1;
    const rows = this.#nextOf(plan);
    for (const row of rows) row.isLocked = true;
    for (const row of rows) this.lockedQueues.add(Number(row.queueId));
    const chains = toChains(answerOf(rows).jobs.map((row) => claimedJob(cellsOf(this.#row(row.id)))));
    expect(this.memory.learnContinuation(plan, chains)).toEqual([]);
    for (const chain of chains) this.running.push({ chain, rows: chain.rest.map(({ id }) => this.#row(id)) });
  }

  /** The next job of each queue, in the priority up to which it was seen. */
  #nextOf({ request }: ContinuePlan): Row[] {
    return request.queues.flatMap(({ queueId, priority, floor }) =>
      this.rows
        .filter((row) => row.queueId === queueId && row.priority === priority && this.#isFree(row) && !row.isPoisoned)
        .filter((row) => comparePositions(positionOf(row), floor) > 0)
        .sort(byPosition)
        .slice(0, 1),
    );
  }

  /** The free jobs that are due. */
  get claimable(): Row[] {
    return this.rows.filter((row) => this.#isFree(row) && !this.lockedQueues.has(row.queueId ?? 0));
  }

  #isFree = ({ isLocked, isGone, at }: Row): boolean => !isLocked && !isGone && at <= this.now;

  #row(id: string): Row {
    return this.rows[Number(id) - 1] as Row;
  }

  #announce(rows: readonly Row[], told: NewRow["told"]): void {
    const at = String(Math.min(...rows.map((row) => row.at)));
    const queueIds = rows.flatMap(({ queueId }) => queueId ?? []);
    const count = rows.length;
    if (told === "count") return this.memory.announce({ count, queueIds }, this.now);
    const hasIds = told === "ids" && queueIds.length === 0;
    this.memory.announce({ count, at, queueIds, jobIds: hasIds ? rows.map(({ id }) => id) : undefined }, this.now);
    for (const row of rows) row.isAnnounced = true;
  }

  #unlock(rows: readonly Row[]): void {
    for (const row of rows) {
      row.isLocked = false;
      row.isAnnounced = false;
      if (row.queueId !== null) this.lockedQueues.delete(row.queueId);
    }
  }

  /** A search passes over no job that was announced and is free, and skips only what cannot be locked. */
  #checkSearch({ request, ticket }: SearchPlan): void {
    for (const row of this.rows) {
      const floor = ticket.levels.get(row.priority);
      if (row.queueId !== null || !row.isAnnounced || !this.#isFree(row) || row.isSkipped || !floor) continue;
      expect(comparePositions(positionOf(row), floor), `job ${row.id} is behind its floor`).toBeGreaterThan(0);
    }
    const skipIds = request.skipIds ?? [];
    expect(skipIds.length).toBeLessThanOrEqual(MOST_SKIPPED);
    expect(skipIds.filter((id) => this.#row(id).isLocked || this.#row(id).isGone)).toEqual([]);
  }

  #fail(plan: ClaimPlan, rows: readonly Row[], isRefused: boolean): void {
    this.#unlock(rows);
    // They were found, so they have to be found again.
    for (const row of rows) row.isAnnounced = true;
    this.memory.failed(plan);
    if (plan.kind === "byId" || !this.memory.refused(isRefused)) return;
    for (const row of this.claimable.filter(({ isPoisoned }) => isPoisoned)) {
      this.memory.skip(row.id, this.now);
      row.isSkipped = true;
    }
  }

  #carryOut(sent: Sent): Found {
    const { plan } = sent;
    sent.found = plan.kind === "byId" ? this.#lockNamed(plan.request.jobIds) : this.#search(plan, sent.tookMs);
    for (const row of sent.found.rows) {
      row.isLocked = true;
      if (row.queueId !== null) this.lockedQueues.add(row.queueId);
    }
    return sent.found;
  }

  #lockNamed(jobIds: readonly string[]): Found {
    const rows = jobIds.map((id) => this.#row(id)).filter((row) => this.#isFree(row) && row.queueId === null);
    return { rows, answer: answerOf(rows) };
  }

  /** The heads of queues first, then the jobs without a queue. */
  #search({ request }: SearchPlan, tookMs: number): Found {
    const { quantity, chainLength, mostQueues, queueFloors, queueIds, heldQueueIds, skipIds = [] } = request;
    const due = this.rows.filter(({ queueId, at }) => queueId !== null && at <= this.now).sort(byPosition);
    const became = due.filter((row) => !row.isGone && comparePositions(positionOf(row), request.due) > 0);
    const window = request.windowAfter === null ? undefined : this.#window(request.windowAfter);
    const found = [...became.map(({ queueId }) => Number(queueId)), ...(window?.found ?? [])];
    const candidates = new Set([...queueIds, ...found.filter((queueId) => !heldQueueIds.includes(queueId))]);
    const rows: Row[] = [];
    const leftover: number[] = [];
    let taken = 0;
    for (const queueId of candidates) {
      if (this.lockedQueues.has(queueId)) continue;
      const all = due.filter((row) => row.queueId === queueId && this.#isFree(row) && !skipIds.includes(row.id));
      const floor = queueFloors.find((known) => known.queueId === queueId)?.floor;
      const above = all.filter((row) => !floor || comparePositions(positionOf(row), floor) > 0);
      const chain = (above.length > 0 ? above : all).slice(0, Math.min(chainLength, quantity - rows.length));
      if (all.length > 0 && (taken === mostQueues || chain.length === 0)) leftover.push(queueId);
      else if (chain.length > 0) {
        taken += 1;
        rows.push(...chain);
      }
    }
    const levels = this.#scanLevels(request, rows);
    const seen = became.at(-1);
    return {
      rows,
      answer: {
        ...answerOf(rows),
        levels,
        leftover,
        more: rows.length >= quantity || leftover.length > 0,
        due: seen ? positionOf(seen) : request.due,
        ...(window && { ...window, windowMs: 1 }),
        tookMs,
        isStraight:
          request.isStraight === true && levels.length === 1 && !seen && rows.every(({ queueId }) => queueId === null),
      },
    };
  }

  #scanLevels({ levels, quantity, skipIds = [] }: SearchPlan["request"], into: Row[]): ClaimAnswer["levels"] {
    const single = this.rows.filter((row) => row.queueId === null && !row.isGone && row.at <= this.now);
    const priorities = new Set([...levels, ...single].map(({ priority }) => priority));
    return [...priorities]
      .sort((a, b) => a - b)
      .map((priority) => {
        if (into.length >= quantity) return { priority, floor: null };
        const floor = levels.find((level) => level.priority === priority)?.floor ?? START;
        const above = single
          .filter((row) => row.priority === priority && comparePositions(positionOf(row), floor) > 0)
          .sort(byPosition);
        const free = above.filter((row) => this.#isFree(row) && !skipIds.includes(row.id));
        const taken = free.slice(0, quantity - into.length);
        into.push(...taken);
        const last = (into.length < quantity ? above : taken).at(-1);
        return { priority, floor: last ? positionOf(last) : floor };
      });
  }

  #window(after: number) {
    const start = Math.max(after, 0);
    const stored = this.rows.flatMap(({ queueId, isGone }) => (queueId === null || isGone ? [] : queueId));
    const queues = [...new Set(stored)].sort((a, b) => a - b);
    const found = queues.filter((queueId) => queueId > start).slice(0, PAGE);
    if (found.length === PAGE)
      return { found, windowStart: start, windowAfter: found.at(-1) ?? 0, windowWrapped: false };
    const round = queues.filter((queueId) => queueId <= start).slice(0, PAGE - found.length);
    const windowAfter = round.length < PAGE - found.length ? start : (round.at(-1) ?? 0);
    return { found: [...found, ...round], windowStart: start, windowAfter, windowWrapped: true };
  }
}

interface NewRow {
  readonly priority: number;
  /** How long ago it was due; negative for a job that is scheduled. */
  readonly age: number;
  /** 0 for none. */
  readonly queueId: number;
  readonly told: "not" | "time" | "ids" | "count";
}

function cellsOf({ id, priority, at, queueId }: Row) {
  return { id, priority: String(priority), runAt: String(at), queueId: queueId === null ? null : String(queueId) };
}

function answerOf(rows: readonly Row[]): ClaimAnswer {
  return { ...NOTHING, jobs: rows.toSorted(byPosition).map((row) => claimedRow(cellsOf(row))) };
}

type Step =
  | ({ readonly kind: "add" } & NewRow)
  | { readonly kind: "send"; readonly quantity: number; readonly tookMs: number; readonly isCarriedOut: boolean }
  | { readonly kind: "end" | "fail" | "done" | "back" | "unheard" | "poison" | "heal"; readonly index: number }
  | { readonly kind: "follow"; readonly index: number; readonly isLost: boolean }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "tell" | "distrust" | "forget" };

const index = fc.nat(20);
const of = <Kind extends Step["kind"]>(...kinds: Kind[]) => fc.constantFrom(...kinds);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: of("add"),
      priority: fc.integer({ min: 0, max: 1 }),
      age: fc.integer({ min: -50, max: 300 }),
      queueId: fc.constantFrom(0, 0, 0, 1, 2, 3),
      told: fc.constantFrom("not", "time", "ids", "count"),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: of("send"),
      quantity: fc.integer({ min: 1, max: 4 }),
      tookMs: fc.integer({ min: 0, max: 20 }),
      isCarriedOut: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: of("end"), index }) },
  { weight: 4, arbitrary: fc.record({ kind: of("done", "back"), index }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: of("follow"), index, isLost: fc.constantFrom(false, false, false, true) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: of("tell") }) },
  { weight: 2, arbitrary: fc.record({ kind: of("wait"), ms: fc.integer({ min: 1, max: 200 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: of("fail", "fail", "unheard"), index }) },
  { weight: 1, arbitrary: fc.record({ kind: of("poison", "heal"), index }) },
  { weight: 1, arbitrary: fc.record({ kind: of("distrust", "forget") }) },
);

function play(model: Model, step: Step): void {
  switch (step.kind) {
    case "add":
      return model.add(step);
    case "send":
      return void model.send(step.quantity, step.tookMs, step.isCarriedOut);
    case "end":
    case "fail":
      return model.end(step.index, step.kind === "fail");
    case "done":
    case "back":
    case "unheard":
      return model.finish(step.index, step.kind);
    case "poison":
    case "heal": {
      const row = model.claimable[step.index];
      if (row) row.isPoisoned = step.kind === "poison";
      return;
    }
    case "follow":
      return model.follow(step.index, step.isLost);
    case "wait":
      model.now += step.ms;
      return;
    case "tell":
      return model.tell();
    default:
      return model.memory[step.kind](model.now);
  }
}

/** Claims as a source does, until every job is done; returns how long that took. */
function drain(model: Model): number {
  const startedAt = model.now;
  for (const row of model.rows) row.isPoisoned = false;
  while (model.open.length > 0) model.end(0);
  while (model.running.length > 0) model.finish(0, "done");
  for (let claims = 0; model.claimable.length > 0; claims++) {
    expect(claims, "claims that find nothing").toBeLessThan(1_000);
    const { plan } = model.send(3, 1, true);
    model.now += 1;
    model.end(0);
    const isMore = model.running.length > 0 || model.memory.hasCandidates;
    while (model.running.length > 0) model.finish(0, "done");
    if (plan.kind === "search" && !isMore) model.now += Math.min(POLL_MS, model.memory.restMs(model.now));
  }
  return model.now - startedAt;
}

describe("a memory of claims, whatever is announced, answered, lost, distrusted or refused", () => {
  it("has every job looked for that is due: once a poll interval, or at the cost of a twentieth of the time", () => {
    let continuations = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: "max" }), (steps) => {
        const model = new Model();
        for (const step of steps) play(model, step);
        const tookMs = drain(model);
        continuations += model.continuations;
        // Twenty times what the scans have cost that belong together, of jobs without a queue and of queues.
        const boundMs =
          2 * POLL_MS + 2 * 21 * model.costMs + (model.rows.some(({ isSkipped }) => isSkipped) ? 60_000 : 0);
        expect(tookMs).toBeLessThanOrEqual(boundMs);
      }),
      { numRuns: 200 },
    );
    expect(continuations).toBeGreaterThan(0);
  });

  it("names nothing that it knew after it forgot", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: "max" }), (steps) => {
        const model = new Model();
        for (const step of steps) play(model, step);
        model.memory.forget(model.now);
        const { plan } = model.send(3, 0, true);
        expect(plan).toMatchObject({
          kind: "search",
          request: { levels: [], queueFloors: [], heldQueueIds: [], due: START, windowAfter: expect.any(Number) },
        });
      }),
    );
  });
});

describe("a memory of claims that come across queues with rules", () => {
  const NOW = 5_000;
  const ruledRow = (id: number, queueId: number, extras: object = {}) =>
    claimedRow({
      id: String(id),
      runAt: String(id),
      queueId: String(queueId),
      extras: JSON.stringify({ lane: 1, ...extras }),
    });

  /** A memory whose first search has brought these rows, and this answer. */
  function setUp(answer: Partial<ClaimAnswer> = {}, random = 0) {
    const settings = { pollIntervalMs: POLL_MS, maxClaimBytes: MOST_BYTES, claimsById: true, continues: true };
    const memory = new ClaimMemory({ ...settings, random: () => random }, 0);
    const search = (now: number, claimant = {}) => {
      const wanted = { quantity: 5, chainLength: 1, mostQueues: 5, mostRuled: 3 };
      const plan = memory.plan(wanted, { ...WHO, ...claimant }, now);
      if (plan.kind !== "search") throw new Error(`It was no search but ${plan.kind}.`);
      return plan;
    };
    const learn = (now: number, given: Partial<ClaimAnswer>) => {
      const all = { ...NOTHING, hasRules: true, ...given };
      const jobs = all.jobs.map((row) => claimedJobOf(row));
      memory.learnSearch(search(now), { answer: all, chains: toChains(jobs) }, now);
    };
    learn(NOW, answer);
    return { memory, search, learn };
  }
  const claimedJobOf = (row: ReturnType<typeof claimedRow>) =>
    new ClaimedJob(row, {
      workerId: "w",
      claimedAt: "1",
      claimedAtUs: 1,
      sentAt: 0,
      taskIdentifiers: new Map([[1, "t"]]),
    });

  it("asks for as many of their jobs as slots are free, and names those served last at the end", () => {
    const { memory, search } = setUp({ jobs: [ruledRow(1, 8), ruledRow(2, 7), ruledRow(3, 9, { share: 2 })] });
    expect(memory.ruled).toBeDefined();
    expect(search(NOW).request).toMatchObject({ mostRuled: 3, servedQueueIds: [8, 7] });
    expect(createMemory().ruled).toBeUndefined();
  });

  it("does not take them for held: others may take from them, too", () => {
    const { search } = setUp({ jobs: [ruledRow(1, 7)] });
    const { request } = search(NOW);
    expect([request.heldQueueIds, request.queueFloors.map(({ queueId }) => queueId)]).toEqual([[], [7]]);
  });

  it("names one that waits for a token when it is there, and is due then", () => {
    const at = String(2_000_000 + 300_000);
    const { memory, search } = setUp({ claimedAt: "2000000", waits: [{ queueId: 7, at }] });
    expect(memory.restMs(NOW)).toBe(300);
    expect(memory.hasCandidates).toBe(false);
    memory.announce({ count: 1, queueIds: [7] }, NOW + 10);
    expect([memory.hasCandidates, search(NOW + 20).request.queueIds]).toEqual([false, []]);
    expect(search(NOW + 100).request.queueIds).toEqual([7]);
    expect(search(NOW + 299).request.queueIds).toEqual([]);
    expect(search(NOW + 300).request.queueIds).toEqual([7]);
  });

  it("does not go on in a queue of which a lane is freed, but looks for all there is", () => {
    const { search, learn, memory } = setUp({ jobs: [ruledRow(1, 7)] });
    learn(NOW + 1, {});
    expect(search(NOW + 2, { freeing: [7, -3] }).request.queueIds).toEqual([7]);
    expect(memory.ruled?.lanesFreed([7, -3], false)).toEqual({ freed: [7], toName: [7] });
    expect(memory.ruled?.lanesFreed([7, -3], true)).toEqual({ freed: [7], toName: [] });
  });

  it("names queues that were passed over for their pool when a lane of that is freed", () => {
    const { memory } = setUp({ crowded: [{ poolId: 3, queueId: 9 }] });
    expect(memory.ruled?.lanesFreed([-3], true)).toEqual({ freed: [9], toName: [9] });
    expect(memory.ruled?.lanesFreed([-3], true)).toEqual({ freed: [], toName: [] });
  });

  it("names queues of a pool of which a lane is freed", () => {
    const { memory } = setUp({
      jobs: [ruledRow(1, 7, { pool: 3, poolLane: 1 }), ruledRow(2, 8, { pool: 3, poolLane: 2 })],
    });
    expect(memory.ruled?.lanesFreed([7, -3], true)).toEqual({ freed: [7, 7, 8], toName: [8] });
  });

  it("searches as long as tasks rest, and says which", () => {
    const { memory, search } = setUp({});
    memory.announce({ count: 1, at: "1", jobIds: ["5"] }, NOW);
    expect(memory.plan({ quantity: 5, chainLength: 1, mostQueues: 5 }, WHO, NOW).kind).toBe("byId");
    memory.announce({ count: 1, at: "1", jobIds: ["6"] }, NOW);
    expect(search(NOW, { restingTaskIds: [4] }).request).toMatchObject({ restingTaskIds: [4] });
  });
});
