import fc from "fast-check";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HeldPhase } from "../../../src/job/claimed-job.ts";
import { HeldJobs, type HeldJob } from "../../../src/job/held-jobs.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { Engine } from "../../../src/worker/engine.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase } from "../../harness/database.ts";
import { PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker, type Gate } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));
afterEach(() => {
  vi.restoreAllMocks();
});

/** What happens from outside, to the job or the handler of that number. */
type Step =
  | { readonly what: "add"; readonly count: number; readonly queue: number; readonly obeys: boolean }
  | { readonly what: "time out" | "batch" }
  | { readonly what: "complete" | "fail" | "cancel"; readonly which: number }
  | { readonly what: "pause" | "resume" | "declare dead" };

const STEPS: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("add" as const),
      count: fc.integer({ min: 1, max: 4 }),
      queue: fc.nat(2),
      obeys: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("time out" as const, "batch" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constantFrom("complete" as const, "fail", "cancel"), which: fc.nat(50) }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom("pause" as const, "resume", "declare dead") }) },
);

/** A worker whose handlers run until they are let go, and those that obey until they are told to stop. */
async function startWorker(options: Partial<WorkerOptions>) {
  const running = new Map<Gate, boolean>();
  const held = async (obeys: boolean, signal: AbortSignal): Promise<void> => {
    const gate = createGate();
    running.set(gate, true);
    await Promise.race([gate.opened, ...(obeys ? [aborted(signal)] : [])]);
    const succeeds = running.get(gate);
    running.delete(gate);
    if (obeys) signal.throwIfAborted();
    if (succeeds === false) throw new Error("failed");
  };
  const plain = defineTask({ identifier: "plain", run: (obeys: boolean, { signal }) => held(obeys, signal) });
  const batch = defineBatchTask({
    identifier: "batch",
    runBatch: (_items: number[], { signal }) => held(true, signal),
  });
  const claimed = vi.spyOn(HeldJobs.prototype, "claimed");
  const started = vi.spyOn(Engine.prototype, "start");
  const worker = await createTestWorker(database, {
    tasks: [plain, batch],
    concurrency: 3,
    pollInterval: "20ms",
    recovery: { ...PATIENT_RECOVERY, heartbeatInterval: "100ms" },
    shutdown: { gracePeriod: "50ms", abortPeriod: "30ms", interruptedJobRetryDelay: "20ms" },
    ...options,
  });
  const end = (which: number, succeeds: boolean): void => {
    const gate = [...running.keys()][which % Math.max(1, running.size)];
    if (!gate) return;
    running.set(gate, succeeds);
    gate.open();
  };
  return {
    worker,
    run: worker.run(),
    end,
    endAll: () => [...running.keys()].forEach((gate) => gate.open()),
    /** What it holds; nothing before its first claim has brought something. */
    held: (): readonly HeldJob[] => [...((claimed.mock.contexts.at(-1) as HeldJobs | undefined) ?? [])],
    engine: () => started.mock.contexts.at(-1) as Engine,
  };
}

type Started = Awaited<ReturnType<typeof startWorker>>;

async function perform(step: Step, { worker, end }: Started): Promise<void> {
  const { client } = worker;
  switch (step.what) {
    case "add": {
      const spec = step.queue === 0 ? {} : { queueName: `q${step.queue}` };
      const jobs = Array.from({ length: step.count }, () => ({ task: "plain", payload: step.obeys, spec }));
      return void (await client.addJobs(jobs));
    }
    case "time out":
      return void (await client.addJob("plain", false, { queueName: "q1", timeout: "20ms" }));
    case "batch":
      return void (await client.addJob("batch", [1, 2]));
    case "complete":
      return end(step.which, true);
    case "fail":
      return end(step.which, false);
    case "cancel": {
      const ids = await database.sql("select id::text from howdah._private_jobs order by id");
      const id = ids[step.which % Math.max(1, ids.length)]?.["id"];
      return void (id && (await client.cancelJobs([id as string])));
    }
    case "pause":
      return void (await client.pauseQueue("q1"));
    case "resume":
      return void (await client.resumeQueue("q1"));
    default:
      // What a sweeper does, all at once.
      await database.sql(
        `with swept as (update howdah._private_workers set _howdah_swept = 1 where id = $1)
         select howdah.recover_dead_worker_jobs(array[$1])`,
        [worker.id],
      );
  }
}

/** The locks in the database, and those that a worker holds according to what it knows. */
async function locks({ held, engine }: Started) {
  const [found] = await database.sql(
    `select
       array(
         select format('%s %s %s', id, locked_by, round(extract(epoch from locked_at) * 1000000))
         from howdah._private_jobs where locked_at is not null
       ) as jobs,
       array(select id from howdah._private_job_queues where locked_at is not null) as queues`,
  );
  const holdings = held();
  const known = holdings.filter(({ isLocked }) => isLocked).map(({ job }) => job);
  return {
    jobs: ((found?.["jobs"] ?? []) as string[]).toSorted(),
    queues: found?.["queues"] as number[],
    knownJobs: known.map(({ id, lockedBy, claimedAt }) => `${id} ${lockedBy} ${claimedAt}`).toSorted(),
    partsAgree: partsAgree(engine(), holdings),
    knownQueues: new Set(holdings.map(({ job }) => job.queueId)),
    shown: holdings.map(({ job, phase, isLocked }) => `${job.id} ${job.lockedBy} ${phase} ${isLocked}`),
  };
}

/** Whether slots and releaser have as many jobs as the worker says that run, go on without a slot, and are being written. */
function partsAgree({ slots, releaser }: Engine, held: readonly HeldJob[]): boolean {
  const count = (wanted: HeldPhase): number => held.filter(({ phase }) => phase === wanted).length;
  return (
    slots.busy === count("running") && slots.detachedCount === count("detached") && releaser.size === count("ending")
  );
}

/** Waits until two looks in a row find the locks that the worker knows of. */
async function expectAgreement(started: Started, history: readonly Step[]): Promise<void> {
  let last: unknown;
  let agreed = "";
  await until(
    async () => {
      const found = await locks(started);
      last = found;
      const agrees =
        JSON.stringify(found.jobs) === JSON.stringify(found.knownJobs) &&
        found.partsAgree &&
        found.queues.every((id) => found.knownQueues.has(id)) &&
        // Whose queue was given to others holds it no longer, and goes on.
        (found.queues.length === withoutNull(found.knownQueues) || history.some(({ what }) => what === "declare dead"));
      const before = agreed;
      agreed = agrees ? JSON.stringify(found.shown) : "";
      return agrees && before === agreed;
    },
    { message: "the worker to know what it holds" },
  ).catch((error: unknown) => {
    throw new Error(`${JSON.stringify(history)}\n${JSON.stringify(last, (_, v) => (v instanceof Set ? [...v] : v))}`, {
      cause: error,
    });
  });
}

const withoutNull = (ids: ReadonlySet<number | null>): number => [...ids].filter((id) => id !== null).length;

describe.each([
  ["claims directly", {}],
  ["has local queues", { localQueue: { size: 6, queueCount: 2 } }],
] as const)("a worker that %s", (_, options) => {
  it("holds the jobs that are locked under its ids, whatever happens to them", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEPS, { minLength: 6, maxLength: 14 }), async (steps) => {
        await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
        const started = await startWorker(options);
        try {
          for (const [index, step] of steps.entries()) {
            await perform(step, started);
            await expectAgreement(started, steps.slice(0, index + 1));
          }
        } finally {
          await started.worker.stop();
          await started.run;
        }
        // Handlers that ignore their signal are all that is left, and end by themselves.
        expect(started.held().filter(({ phase, isLocked }) => phase !== "detached" || isLocked)).toEqual([]);
        expect(await database.sql("select from howdah._private_jobs where locked_at is not null")).toEqual([]);
        started.endAll();
        await until(() => started.held().length === 0);
        vi.restoreAllMocks();
      }),
      { numRuns: 8, endOnFailure: true },
    );
  });
});
