import { EVENT_NAMES } from "../../../../src/hooks/events.ts";
import type { HookHandlers } from "../../../../src/hooks/emitter.ts";
import type { Job } from "../../../../src/job/job.ts";
import { defineTask } from "../../../../src/job/task.ts";
import type { Worker } from "../../../../src/worker/worker.ts";
import type { TestDatabase } from "../../../harness/database.ts";
import { until } from "../../../harness/until.ts";
import { aborted, createGate, createTestWorker, type Gate } from "../../../harness/worker.ts";
import { type EndingCase, slugOf, type Way } from "./ending-case.ts";
import { observeRow, type Observation } from "./observation.ts";

/** A case that is being played. */
interface Part {
  readonly case: EndingCase;
  readonly identifier: string;
  readonly queueName: string | null;
  readonly started: Gate;
  readonly released: Gate;
}

/** Has room for all cases, so that none waits for another one. */
const CONCURRENCY = 100;
const next = defineTask({ identifier: "next", run() {} });
const blocker = defineTask({
  identifier: "blocker",
  async run(_payload: unknown, { signal }) {
    await aborted(signal);
  },
});

/** Plays cases that can share a worker, and says what is left of each job. */
export async function play(
  database: TestDatabase,
  way: Way,
  cases: readonly EndingCase[],
): Promise<readonly Observation[]> {
  const parts = cases.map((one) => toPart(one, way));
  const worker = await createActor(database, way, parts);
  const watch = watchHooks(worker, parts);
  // Cases that pause their task do so to the end.
  for (const { case: one, identifier } of parts) if (one.options) await worker.client.resumeTask(identifier);
  const jobs = await addJobs(worker, parts);
  const running = worker.run();
  try {
    return await Promise.all(
      parts.map((part, index) => playPart({ database, worker, part, job: jobs[index] as Job, watch })),
    );
  } finally {
    for (const { released } of parts) released.open();
    await worker.stop();
    await running;
  }
}

async function playPart(scene: Settling): Promise<Observation> {
  const { database, worker, part, job, watch } = scene;
  await part.case.act?.({
    database,
    worker,
    job,
    queueName: part.queueName ?? undefined,
    claimed: () => until(() => watch.fetched.has(job.id), { message: "the claim" }),
    started: part.started.opened,
    release: () => part.released.open(),
  });
  return settle(scene);
}

function toPart(one: EndingCase, way: Way): Part {
  const identifier = slugOf(one);
  const queueName = way === "chain" || way === "direct, in a queue" ? `${identifier} in a queue` : null;
  return { case: one, identifier, queueName, started: createGate(), released: createGate() };
}

function createActor(database: TestDatabase, way: Way, parts: readonly Part[]): Promise<Worker> {
  const tasks = parts
    .filter(({ case: { foreign } }) => !foreign)
    .map(({ case: one, identifier, started, released }) =>
      one.task(identifier, { started: started.open, released: released.opened }),
    );
  const isCached = way === "local queue" || way === "chain";
  const options = parts[0]?.case.options ?? {};
  return createTestWorker(database, {
    tasks: [...tasks, next, blocker],
    concurrency: parts.some((part) => part.case.waits) ? 1 : CONCURRENCY,
    ...(isCached ? { localQueue: { size: 100 } } : {}),
    shutdown: { gracePeriod: "50ms", abortPeriod: "50ms" },
    ...options,
  });
}

/** The names of a job's events, by its id, and who was claimed. */
interface Watch {
  readonly events: ReadonlyMap<string, readonly string[]>;
  readonly fetched: ReadonlySet<string>;
}

function watchHooks(worker: Worker, parts: readonly Part[]): Watch {
  const events = new Map<string, string[]>();
  const fetched = new Set<string>();
  // `jobAdd` comes before, and `jobSettle` after each of the others.
  const watched = EVENT_NAMES.filter((name) => name.startsWith("job") && name !== "jobAdd" && name !== "jobSettle");
  for (const name of watched) {
    worker.hooks.on(name as "jobStart", ({ job }) => {
      if (name === "jobFetch") fetched.add(job.id);
      else events.set(job.id, [...(events.get(job.id) ?? []), name]);
    });
  }
  for (const { case: one, identifier } of parts) {
    for (const [name, handler] of Object.entries(one.hooks ?? {})) {
      const ask = handler as HookHandlers["beforeJobRun"];
      worker.hooks.on(name as "beforeJobRun", (event) => (event.job.task === identifier ? ask(event) : undefined));
    }
  }
  return { events, fetched };
}

/** Adds the job of each case, and behind it another one of its queue. */
async function addJobs(worker: Worker, parts: readonly Part[]): Promise<Job[]> {
  const { client } = worker;
  if (parts.some((part) => part.case.waits)) await client.addJob(blocker, {}, { priority: -1 });
  const jobs: Job[] = [];
  for (const { case: one, identifier, queueName } of parts) {
    const queue = queueName === null ? {} : { queueName };
    jobs.push(await client.addJob(identifier, one.payload, { ...one.spec, ...queue }));
    // No slot would take it, and as part of the same chain it would hold the queue.
    if (queueName !== null && !one.waits && !one.isLast) await client.addJob(next, {}, queue);
  }
  return jobs;
}

interface Settling {
  readonly database: TestDatabase;
  readonly worker: Worker;
  readonly part: Part;
  readonly job: Job;
  readonly watch: Watch;
}

/** Waits until the job has ended and everybody has been told, and looks. */
async function settle({ database, worker, part, job, watch }: Settling): Promise<Observation> {
  const { lingers = false, foreign = false, lastEvent } = part.case;
  // A row may be gone before its handler has ended, and then there is more to tell.
  const isLast = (row: string): boolean => {
    const last = watch.events.get(job.id)?.at(-1);
    return lastEvent === undefined ? row !== "deleted" || last !== "jobStart" : last === lastEvent;
  };
  const known = { id: job.id, payload: job.payload, queueName: part.queueName };
  let seen: Omit<Observation, "hooks"> | undefined;
  await until(
    async () => {
      // Before the row: one that is read before the claim looks like one that was given back.
      const isFetched = foreign || watch.fetched.has(job.id);
      seen = await observeRow(database, known);
      // After the row: what has been written is told when the answer is there.
      const isTold = isFetched && worker.metrics().unwritten === 0;
      return isTold && isLast(seen.row) && seen.row !== "locked" && (lingers || seen.queue !== "locked");
    },
    { message: `the end of “${part.case.what}”` },
  );
  const hooks = (watch.events.get(job.id) ?? []).map((name) => `\`${name}\``).join(", ") || "–";
  return { ...(seen as Omit<Observation, "hooks">), hooks };
}
