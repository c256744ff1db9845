import type { AdminGround, Handlers } from "../ground.ts";
import { forbidden, mayPauseQueue, mayPauseTask, type Principal, requireUnlimited } from "../principal.ts";
import { notFound, RequestError } from "../problem.ts";
import { toTime } from "../views/job-view.ts";
import { visibleQueue } from "./read-groups.ts";
import { maySeeSchedule, toScheduleView } from "./read-workers.ts";

type PauseNames = "pauseQueue" | "resumeQueue" | "pauseTask" | "resumeTask";
type ScheduleNames = "pauseSchedule" | "resumeSchedule" | "triggerSchedule";
type WorkerNames = "unlockQueue" | "sweepWorkers" | "unlockWorkers";

/** The routes that pause and resume queues and tasks. */
export function createPauseRoutes({ audit, client }: AdminGround): Pick<Handlers, PauseNames> {
  return {
    async pauseQueue({ params: { name }, body: { until }, principal, requestId }) {
      requireOwn(mayPauseQueue(principal, name), `the queue ${JSON.stringify(name)}`);
      return audit.record({ principal, requestId, action: "queues.pause", target: { name, until } }, async () => {
        const pause = await client.pauseQueue(name, { until });
        return { answer: { name, isPaused: true, pausedUntil: toTime(pause.until) } };
      });
    },

    async resumeQueue({ params: { name }, principal, requestId }) {
      requireOwn(mayPauseQueue(principal, name), `the queue ${JSON.stringify(name)}`);
      return audit.record({ principal, requestId, action: "queues.resume", target: { name } }, async () => {
        await client.resumeQueue(name);
        return { answer: { name, isPaused: false, pausedUntil: null } };
      });
    },

    async pauseTask({ params: { name }, body: { until }, principal, requestId }) {
      requireOwn(mayPauseTask(principal, name), `the task ${JSON.stringify(name)}`);
      return audit.record({ principal, requestId, action: "tasks.pause", target: { name, until } }, async () => {
        const pause = await client.pauseTask(name, { until });
        return { answer: { name, isPaused: true, pausedUntil: toTime(pause.until) } };
      });
    },

    async resumeTask({ params: { name }, principal, requestId }) {
      requireOwn(mayPauseTask(principal, name), `the task ${JSON.stringify(name)}`);
      return audit.record({ principal, requestId, action: "tasks.resume", target: { name } }, async () => {
        await client.resumeTask(name);
        return { answer: { name, isPaused: false, pausedUntil: null } };
      });
    },
  };
}

/** The routes that pause, resume and trigger schedules. */
export function createScheduleRoutes(ground: AdminGround): Pick<Handlers, ScheduleNames> {
  const { audit, client } = ground;
  return {
    async pauseSchedule({ params: { name }, body: { until }, principal, requestId }) {
      await requireSchedule(ground, principal, name);
      return audit.record({ principal, requestId, action: "schedules.pause", target: { name, until } }, async () => ({
        answer: await toScheduleView(await client.schedules.pause(name, { until }), ground),
      }));
    },

    async resumeSchedule({ params: { name }, principal, requestId }) {
      await requireSchedule(ground, principal, name);
      return audit.record({ principal, requestId, action: "schedules.resume", target: { name } }, async () => ({
        answer: await toScheduleView(await client.schedules.resume(name), ground),
      }));
    },

    async triggerSchedule({ params: { name }, principal, requestId }) {
      await requireSchedule(ground, principal, name);
      return audit.record({ principal, requestId, action: "schedules.trigger", target: { name } }, async () => {
        const job = await client.schedules.trigger(name);
        return { answer: { id: job.id }, count: 1 };
      });
    },
  };
}

/** The routes that take locks away: they concern everything that a worker holds. */
export function createRecoveryRoutes({ access, audit, client }: AdminGround): Pick<Handlers, WorkerNames> {
  return {
    async unlockQueue({ params: { name }, principal, requestId }) {
      requireUnlimited(principal, "Unlocking a worker by force");
      await visibleQueue(access, principal, name);
      const workerIds = await access.listQueueHolders(name);
      if (workerIds.length > 1) throw severalHolders(name, workerIds);
      return audit.record({ principal, requestId, action: "queues.unlock", target: { name, workerIds } }, async () => {
        await client.forceUnlockWorkers(workerIds);
        return { answer: { workerIds } };
      });
    },

    async unlockWorkers({ body: { workerIds }, principal, requestId }) {
      requireUnlimited(principal, "Unlocking workers by force");
      return audit.record({ principal, requestId, action: "workers.unlock", target: { workerIds } }, async () => {
        await client.forceUnlockWorkers(workerIds);
        return { answer: { workerIds: [...workerIds] } };
      });
    },

    async sweepWorkers({ body, principal, requestId }) {
      requireUnlimited(principal, "A sweep");
      return audit.record({ principal, requestId, action: "workers.sweep", target: { ...body } }, async () => {
        const { workerIds, jobCount, refused } = await client.sweepStaleWorkers(body);
        const shown = refused.map(({ kind, id, workerId, message }) => ({ kind, id, workerId, message }));
        return { answer: { workerIds, jobCount, refused: shown }, count: jobCount };
      });
    },
  };
}

/** All that a worker holds is unlocked: which of several is gone, only a person can know. */
function severalHolders(name: string, workerIds: readonly string[]): RequestError {
  const shown = workerIds.slice(0, MOST_NAMED).join(", ");
  const more = workerIds.length > MOST_NAMED ? ` and ${workerIds.length - MOST_NAMED} others` : "";
  return new RequestError(
    `The queue ${JSON.stringify(name)} has rules, and ${workerIds.length} workers run jobs of it: ${shown}${more}. ` +
      "Unlock the one that is certainly gone, with `POST workers/unlock`.",
  );
}

const MOST_NAMED = 5;

function requireOwn(isOwn: boolean, what: string): void {
  if (!isOwn) throw forbidden(`You may not change ${what}: it is none of yours, or has jobs that are not.`);
}

async function requireSchedule({ client }: AdminGround, principal: Principal, name: string): Promise<void> {
  const schedule = (await client.schedules.list()).find(({ id }) => id === name);
  if (schedule && maySeeSchedule(principal, schedule)) return;
  throw notFound(`There is no schedule ${JSON.stringify(name)}, or it is none of yours.`);
}
