import { AsyncLocalStorage } from "node:async_hooks";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HowdahError } from "../../errors.ts";
import type { JobToStore } from "../../postgres/queries/job-to-store.ts";
import type { StoredJob } from "../../postgres/queries/stored-jobs.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { checkJobSpec } from "./job-spec.ts";
import { PATIENCE_MS } from "../../runtime/lanes.ts";
import { JoinedAdds } from "./joined-adds.ts";

const PLAIN: JobToStore = { identifier: "t", payload: "{}", ...checkJobSpec(undefined, "the job"), unique: undefined };

/** A job whose payload is a number. */
const job = (n: number, more: Partial<JobToStore> = {}): JobToStore => ({ ...PLAIN, payload: String(n), ...more });

interface Statement {
  /** What was seen when it was sent. */
  readonly seen: unknown;
  readonly together: boolean;
  readonly payloads: readonly string[];
  /** Commits it, or lets it fail. */
  end(error?: unknown): void;
}

/** Joined adds whose statements end when the test says so. */
function setUp(see: () => unknown = () => undefined) {
  const clock = createManualClock();
  const sent: Statement[] = [];
  const send = (jobs: readonly JobToStore[], together: boolean): Promise<StoredJob[]> =>
    new Promise((resolve, reject) => {
      sent.push({
        seen: see(),
        together,
        payloads: jobs.map(({ payload }) => payload),
        end: (error) => (error === undefined ? resolve(jobs.map(toStored)) : reject(error)),
      });
    });
  const store = {
    alone: (only: JobToStore) => send([only], false).then(([stored]) => stored as StoredJob),
    together: (jobs: readonly JobToStore[]) => send(jobs, true),
  };
  const joined = new JoinedAdds(store, clock);
  /** What became of each add, by its number: the number that was stored, or the error. */
  const results = new Map<number, unknown>();
  const add = (n: number, more?: Partial<JobToStore>): void =>
    void joined.store(job(n, more)).then(
      (stored) => results.set(n, Number(stored?.id)),
      (error: unknown) => results.set(n, error),
    );
  return {
    clock,
    sent,
    results,
    payloads: () => sent.map(({ payloads }) => payloads.map(Number)),
    addNow: add,
    /** Adds jobs with these numbers in one turn, and lets it end. */
    async add(numbers: readonly number[], more?: Partial<JobToStore>) {
      for (const n of numbers) add(n, more);
      await clock.advance(0);
    },
    /** Ends a statement and lets what follows from it happen. */
    async end(index: number, error?: unknown) {
      sent[index]?.end(error);
      await clock.advance(0);
    },
    /** A job of each of these has been stored: adds of them may be joined. */
    async introduce(...names: Partial<JobToStore>[]) {
      for (const more of names) {
        void joined.store(job(0, more));
        sent.pop()?.end();
        await clock.advance(0);
      }
    },
  };
}

function toStored({ payload }: JobToStore): StoredJob {
  return { id: payload, runAt: "0", createdAt: "0", flags: null };
}

/** An error of the server. */
const refusal = (code: string): Error => Object.assign(new Error(`SQLSTATE ${code}`), { code });

describe("adds of names that are known", () => {
  it("are sent with the end of the turn while fewer than two statements are under way", async () => {
    const { introduce, addNow, add, sent, payloads } = setUp();
    await introduce({});
    addNow(1);
    expect(payloads()).toEqual([]);
    await add([]);
    expect(payloads()).toEqual([[1]]);
    await add([2, 3]);
    expect(payloads()).toEqual([[1], [2, 3]]);
    expect(sent.map(({ together }) => together)).toEqual([false, true]);
  });

  it("that come later go together with the next, each with its own answer", async () => {
    const { introduce, add, payloads, end, results, clock } = setUp();
    await introduce({});
    for (const n of [1, 2, 3, 4]) await add([n]);
    expect(payloads()).toEqual([[1], [2]]);
    await end(1);
    expect(payloads()).toEqual([[1], [2], [3, 4]]);
    await add([5]);
    await end(2);
    expect([...results]).toEqual([
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    expect(payloads().at(-1)).toEqual([5]);
    expect(clock.pending).toBe(0);
  });

  it("go along with what is added by those who have just been answered", async () => {
    const { introduce, add, addNow, sent, payloads, results, clock } = setUp();
    await introduce({});
    await add([1, 2]);
    await add([3]);
    await add([4]);
    sent[0]?.end();
    // As a producer does whose add has just resolved.
    void Promise.resolve().then(async () => {
      while (!results.has(2)) await Promise.resolve();
      addNow(5);
    });
    await clock.advance(0);
    expect(payloads()).toEqual([[1, 2], [3], [4, 5]]);
  });

  it("are sent in the surroundings of their caller when it is alone, and of no caller when they had to wait", async () => {
    const surroundings = new AsyncLocalStorage<string>();
    const { introduce, add, sent, end } = setUp(() => surroundings.getStore());
    await introduce({});
    await surroundings.run("first caller", () => add([1]));
    await surroundings.run("second caller", () => add([2]));
    await surroundings.run("third caller", () => add([3]));
    await end(0);
    expect(sent.map(({ seen }) => seen)).toEqual(["first caller", "second caller", undefined]);
  });

  it("are sent in the surroundings of no caller when they overtake a statement that takes its time", async () => {
    const surroundings = new AsyncLocalStorage<string>();
    const { introduce, add, sent, clock } = setUp(() => surroundings.getStore());
    await introduce({});
    for (const caller of ["first", "second", "third", "fourth"])
      await surroundings.run(caller, () => add([sent.length]));
    await clock.advance(PATIENCE_MS);
    expect(sent.map(({ seen }) => seen)).toEqual(["first", "second", undefined]);
  });

  it("are joined to at most 200, and to a limited length", async () => {
    const { introduce, add, payloads } = setUp();
    await introduce({});
    await add(Array.from({ length: 250 }, (_, index) => index + 1));
    expect(payloads().map(({ length }) => length)).toEqual([200, 50]);

    const long = setUp();
    await long.introduce({});
    await long.add(Array.from({ length: 40 }).fill(0) as number[], { payload: "1".repeat(60_000) });
    expect(long.sent[0]?.payloads.length).toBe(Math.floor((1024 * 1024) / 60_000));
  });
});

describe("an add that may take its time", () => {
  it.each<[string, Partial<JobToStore>]>([
    ["a key", { jobKey: "k" }],
    ["a task that is new", { identifier: "new" }],
    ["a queue that is new", { queueName: "new" }],
    ["a large payload", { payload: `"${"x".repeat(65_536)}"` }],
  ])("for %s goes alone, and no other waits for it", async (_, more) => {
    const { introduce, add, sent, payloads } = setUp();
    await introduce({});
    await add([1, 2, 3], more);
    expect(sent.map(({ payloads: { length } }) => length)).toEqual([1, 1, 1]);
    await add([4, 5]);
    expect(payloads().at(-1)).toEqual([4, 5]);
  });

  it("is joined when a job with its names has been committed, not before", async () => {
    const { introduce, add, payloads, end } = setUp();
    await introduce({});
    await add([1], { queueName: "q" });
    await add([2], { queueName: "q" });
    expect(payloads()).toEqual([[1], [2]]);
    await end(0);
    await add([3]);
    await add([4]);
    await add([5], { queueName: "q" });
    await add([6]);
    expect(payloads()).toEqual([[1], [2], [3], [4]]);
    await end(2);
    expect(payloads().at(-1)).toEqual([5, 6]);
  });

  it("is overtaken: what waits for it is sent after a tenth of a second, and goes on without it", async () => {
    const { introduce, add, payloads, end, clock } = setUp();
    await introduce({});
    for (const n of [1, 2, 3, 4]) await add([n]);
    await clock.advance(99);
    expect(payloads()).toHaveLength(2);
    await clock.advance(1);
    expect(payloads().slice(2)).toEqual([[3, 4]]);
    await add([5]);
    await add([6]);
    expect(payloads().slice(3)).toEqual([[5]]);
    await end(3);
    expect(payloads().slice(3)).toEqual([[5], [6]]);
    // The two that took their time make no room when they end.
    await add([7]);
    await end(0);
    await end(1);
    expect(payloads()).toHaveLength(5);
    await end(2);
    expect(payloads().at(-1)).toEqual([7]);
  });
});

describe("a statement that fails", () => {
  const sendJoined = async (error: unknown) => {
    const parts = setUp();
    await parts.introduce({}, { queueName: "q" });
    await parts.add([1, 2], { queueName: "q" });
    await parts.end(0, error);
    return parts;
  };

  it.each(["22P05", "23514", "P0001", "54001", "55P03", "40P01", "57014", "25006", "42501", "HWALN"])(
    "with %s is taken apart, so that each of its adds has the outcome of its own",
    async (state) => {
      const { payloads, end, results } = await sendJoined(refusal(state));
      expect(payloads()).toEqual([[1, 2], [1], [2]]);
      await end(1, refusal("22P05"));
      await end(2);
      expect(results.get(1)).toMatchObject({ code: "22P05" });
      expect(results.get(2)).toBe(2);
    },
  );

  it.each<[string, unknown]>([
    ["is cut off", new HowdahError("HOWDAH_CONNECTION_LOST", "cut off")],
    ["is cut off by the server", refusal("57P01")],
    ["gets no answer in time", new HowdahError("HOWDAH_QUERY_TIMEOUT", "no answer")],
    ["ends with an unknown error", new TypeError("x is not a function")],
    ["cannot be sent", new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "no connection")],
  ])("because it %s is not repeated: each of its adds is told so", async (_, error) => {
    const { payloads, results } = await sendJoined(error);
    expect(payloads()).toHaveLength(1);
    expect([results.get(1), results.get(2)]).toEqual([error, error]);
  });

  it("is not repeated when its add was alone", async () => {
    const { introduce, add, payloads, end, results } = setUp();
    await introduce({});
    await add([1]);
    await end(0, refusal("22P05"));
    expect([payloads(), results.get(1)]).toEqual([[[1]], expect.objectContaining({ code: "22P05" })]);
  });

  it("makes its names unknown, so that what one of them waits for holds up others only once", async () => {
    const { payloads, add, end } = await sendJoined(refusal("55P03"));
    await add([3]);
    await add([4], { queueName: "q" });
    expect(payloads().slice(3)).toEqual([[3], [4]]);
    await end(3);
    // The task is known again, the queue is not.
    await add([5, 6]);
    await add([7, 8], { queueName: "q" });
    expect(payloads().slice(5)).toEqual([[5, 6], [7], [8]]);
  });
});

it("answers each add with its own job or error, and never sends one twice unless it was refused together", async () => {
  const step = fc.oneof(
    fc.record({
      type: fc.constant("add" as const),
      count: fc.integer({ min: 1, max: 8 }),
      queue: fc.constantFrom(null, "a", "b", "c"),
    }),
    fc.record({
      type: fc.constant("end" as const),
      index: fc.nat(),
      error: fc.constantFrom(undefined, undefined, refusal("22P05"), refusal("08006"), new Error("unheard of")),
    }),
    fc.record({ type: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 150 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, sent, addNow, results } = setUp();
      const ended = new Map<Statement, unknown>();
      const open = (): Statement[] => sent.filter((statement) => !ended.has(statement));
      const endOne = async (index: number, error: unknown): Promise<void> => {
        const statement = open()[index % Math.max(open().length, 1)];
        if (!statement) return;
        ended.set(statement, error);
        statement.end(error);
        await clock.advance(0);
      };
      let added = 0;
      for (const next of steps) {
        if (next.type === "advance") await clock.advance(next.ms);
        else if (next.type === "end") await endOne(next.index, next.error);
        else for (let count = 0; count < next.count; count++) addNow(++added, { queueName: next.queue });
      }
      await clock.advance(0);
      while (open().length > 0) await endOne(0, undefined);
      expect(results.size).toBe(added);
      expect(clock.pending).toBe(0);
      for (let n = 1; n <= added; n++) {
        const mine = sent.filter(({ payloads }) => payloads.includes(String(n)));
        const last = mine.at(-1);
        // All but the last were refused, for certain, while it was not alone.
        for (const earlier of mine.slice(0, -1))
          expect([earlier.together, ended.get(earlier)]).toEqual([true, refusal("22P05")]);
        expect(results.get(n)).toEqual(last && (ended.get(last) ?? n));
      }
    }),
  );
});
