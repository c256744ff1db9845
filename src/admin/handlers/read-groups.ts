import type { QueueInfo } from "../../client/inspect.ts";
import type { PoolLoad } from "../../client/pool-load.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import type { Job } from "../../job/job.ts";
import { formatSpan } from "../../client/why/times.ts";
import type { CountView } from "../contract/component.ts";
import type { LockAnswer, QueueView } from "../contract/group-views.ts";
import type { RunningView } from "../contract/worker-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { forbidden, isLimited, maySee, maySeeQueue, type Principal, scopeOf } from "../principal.ts";
import { notFound } from "../problem.ts";
import { toCountView } from "../views/count-view.ts";
import { toJobRow, toTime } from "../views/job-view.ts";
import { stateOfLimits, toLimitsView, toPoolView } from "../views/limits-view.ts";
import { toWorkerView } from "../views/worker-view.ts";

/** The routes that read queues. */
export function createQueueReads(ground: AdminGround): Pick<Handlers, "listQueues" | "getQueue" | "getLock"> {
  const { access, clock, facts } = ground;
  const now = (): string => new Date(clock.now()).toISOString();

  async function firstJobs(principal: Principal, queueName: string) {
    const page = { isBackward: false, after: undefined, limit: 50 };
    const { jobs } = await access.listJobs({ queueName }, scopeOf(principal), page);
    return jobs.filter(({ state }) => state !== "failed");
  }

  return {
    async listQueues({ query, principal }) {
      const names = principal.queues?.filter((name) => name !== null);
      if (names === undefined && isLimited(principal))
        throw forbidden("You may see the jobs of some tasks, and no queues.");
      const { queues, next } = await access.listQueues(query, names);
      return { asOf: now(), queues: queues.map(toQueueView), next: next ?? null };
    },

    async getQueue({ params: { name }, principal }) {
      const [queue, jobs, pauses] = await Promise.all([
        visibleQueue(access, principal, name),
        firstJobs(principal, name),
        facts.pauses.get(),
      ]);
      const rows = jobs.map((job) => toJobRow(job, pauses.value, ground));
      return { asOf: now(), queue: toQueueView(queue), jobs: rows };
    },

    async getLock({ params: { name }, principal }) {
      const queue = await visibleQueue(access, principal, name);
      const [jobs, workers, pauses, pools] = await Promise.all([
        firstJobs(principal, name),
        facts.workers.get(),
        facts.pauses.get(),
        queue.limits?.pool == null ? [] : access.listPools([queue.limits.pool]),
      ]);
      const holder = workers.value.find(({ id }) => id === queue.lockedBy);
      const isClaimed = ({ lockedBy }: { readonly lockedBy: string | null }): boolean => lockedBy !== null;
      const chain = jobs.filter(isClaimed);
      const oldest = oldestOf(jobs.filter((job) => !isClaimed(job)));
      const [pool] = pools;
      return {
        asOf: now(),
        queue: toQueueView(queue),
        ...stateOfQueue(queue, { holder, pool, chain, workers: workers.value, nowMs: clock.now() }),
        holder: holder ? toWorkerView(holder, principal) : null,
        pool: pool ? toPoolView(pool) : null,
        running: (queue.limits ? workers.value : [holder]).flatMap((worker) => runningIn(name, worker, principal)),
        chain: chain.map((job) => toJobRow(job, pauses.value, ground)),
        waiting: {
          count: without(toCountView(queue.jobCount), Math.max(chain.length, queue.limits?.running ?? 0)),
          oldest: oldest ? toJobRow(oldest, pauses.value, ground) : null,
          oldestDueMs: oldest ? Math.max(0, Math.round(clock.now() - oldest.runAt.getTime())) : null,
        },
        promise: PROMISE,
      };
    },
  };
}

/** What of a queue a worker says that it runs. */
function runningIn(queueName: string, worker: WorkerInfo | undefined, principal: Principal): RunningView[] {
  const running = worker?.report?.running ?? [];
  return running
    .filter((job) => job.queueName === queueName && maySee(principal, job))
    .map((job) => ({ ...job, since: job.since.toISOString() }));
}

interface QueueGround {
  readonly holder: WorkerInfo | undefined;
  readonly pool: PoolLoad | undefined;
  readonly chain: readonly Job[];
  readonly workers: readonly WorkerInfo[];
  readonly nowMs: number;
}

/** The state of its lock; of a queue with rules what they leave to it. */
function stateOfQueue(queue: QueueInfo, { holder, pool, chain, workers, nowMs }: QueueGround): LockState {
  const lock = stateOfLock(queue, holder, nowMs);
  if (queue.limits === null) return lock;
  const isDead = ({ lockedBy }: Job): boolean => workers.some((worker) => worker.id === lockedBy && isGone(worker));
  return { ...lock, ...stateOfLimits(queue.limits, { queue, pool, deadCount: chain.filter(isDead).length, nowMs }) };
}

function oldestOf(jobs: readonly Job[]): Job | undefined {
  return jobs.reduce<Job | undefined>((first, job) => (first && first.runAt <= job.runAt ? first : job), undefined);
}

/** A count without those that are counted elsewhere. */
function without(count: CountView, others: number): CountView {
  return { ...count, value: Math.max(0, count.value - others) };
}

/** A queue as an answer has it. */
function toQueueView({ jobCount, readyCount, lockedAt, pausedUntil, limits, ...queue }: QueueInfo): QueueView {
  return {
    ...queue,
    jobCount: toCountView(jobCount),
    readyCount: toCountView(readyCount),
    lockedAt: toTime(lockedAt),
    pausedUntil: toTime(pausedUntil),
    limits: limits && toLimitsView(limits),
  };
}

/** The queue of this name, if someone may see it. Throws `HOWDAH_ADMIN_NOT_FOUND`. */
export async function visibleQueue(
  access: AdminGround["access"],
  principal: Principal,
  name: string,
): Promise<QueueInfo> {
  const [queue] = maySeeQueue(principal, name) ? (await access.listQueues({ limit: 1 }, [name])).queues : [];
  if (queue) return queue;
  throw notFound(
    `There is no queue ${JSON.stringify(name)}: it has never had a job, was cleaned up, or is none of yours.`,
  );
}

type LockState = Pick<LockAnswer, "sentence" | "state" | "heldForMs" | "freedInMs">;

function stateOfLock(queue: QueueInfo, holder: WorkerInfo | undefined, nowMs: number): LockState {
  const { lockedAt, lockedBy, isPaused } = queue;
  if (lockedAt === null) {
    const sentence = isPaused ? "Free, and paused: none of its jobs starts." : "Free: its next job can start.";
    return { sentence, state: isPaused ? "paused" : "free", heldForMs: null, freedInMs: null };
  }
  const heldForMs = Math.max(0, Math.round(nowMs - lockedAt.getTime()));
  const held = `for ${formatSpan(heldForMs)}`;
  if (!holder) {
    const sentence = `Held by ${lockedBy}, which is not registered, ${held}.`;
    return { sentence, state: "holder_unknown", heldForMs, freedInMs: null };
  }
  const silentMs = Math.max(0, nowMs - holder.lastHeartbeatAt.getTime());
  if (isGone(holder)) {
    const freedInMs = Math.max(0, Math.round(RECOVERY_MS - silentMs));
    const sentence = `Held by ${holder.id}, which died: silent for ${formatSpan(silentMs)}. Any living worker frees it in about ${formatSpan(freedInMs)}.`;
    return { sentence, state: "holder_dead", heldForMs, freedInMs };
  }
  const isSilent = silentMs > SILENT_MS;
  const alive = isSilent ? `silent for ${formatSpan(silentMs)}` : `alive ${formatSpan(silentMs)} ago`;
  return {
    sentence: `Held by ${holder.id}, ${alive}, ${held}.`,
    state: isSilent ? "holder_silent" : "held",
    heldForMs,
    freedInMs: null,
  };
}

function isGone({ isStale, session }: WorkerInfo): boolean {
  return isStale || session === "lost";
}

/** Heartbeats come every four seconds or so. */
const SILENT_MS = 15_000;

/** A dead worker is noticed after 10 to 15 s, and its queues are freed 30 s later. */
const RECOVERY_MS = 45_000;

const PROMISE =
  "Jobs of one queue never run two at once. Unlocking by force breaks this promise while the holder still runs: " +
  "do it only for a worker that is certainly gone. All that the worker holds is unlocked, of other queues, too.";
