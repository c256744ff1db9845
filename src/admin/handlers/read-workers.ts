import type { Schedule } from "../../cron/stored-schedule.ts";
import { version } from "../../runtime/version.generated.ts";
import type { ScheduleView } from "../contract/overview-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { maySee, type Principal } from "../principal.ts";
import { notFound } from "../problem.ts";
import { toTime } from "../views/job-view.ts";
import { toWorkerView } from "../views/worker-view.ts";

/** The routes that read workers, schedules, and who asks. */
export function createWorkerReads(
  ground: AdminGround,
): Pick<Handlers, "session" | "listWorkers" | "getWorker" | "listSchedules"> {
  const { access, client, clock, facts, redaction, settings } = ground;

  return {
    async session({ principal }) {
      const { name, role, tasks, queues } = principal;
      const { environment } = settings;
      return {
        name,
        role,
        tasks: tasks === undefined ? null : [...tasks],
        queues: queues === undefined ? null : [...queues],
        readOnly: settings.readOnly,
        environment:
          environment.name === undefined ? null : { name: environment.name, colour: environment.colour ?? null },
        schema: access.schemaName,
        version,
        hasTraces: settings.traceUrl !== undefined,
        isRedacted: redaction.isOn,
        serverTime: new Date(clock.now()).toISOString(),
      };
    },

    async listWorkers({ principal }) {
      const { value, asOf } = await facts.workers.get();
      return { asOf: asOf.toISOString(), workers: value.map((worker) => toWorkerView(worker, principal)) };
    },

    async getWorker({ params: { name }, principal }) {
      const { value, asOf } = await facts.workers.get();
      const worker = value.find(({ id }) => id === name);
      if (!worker) throw notFound(`No worker ${JSON.stringify(name)} is registered: it ended, or was recovered.`);
      return { asOf: asOf.toISOString(), worker: toWorkerView(worker, principal) };
    },

    async listSchedules({ principal }) {
      const schedules = (await client.schedules.list()).filter((schedule) => maySeeSchedule(principal, schedule));
      const shown = await Promise.all(schedules.map((schedule) => toScheduleView(schedule, ground)));
      return { asOf: new Date(clock.now()).toISOString(), schedules: shown };
    },
  };
}

/** Whether someone may see the jobs of a schedule. */
export function maySeeSchedule(principal: Principal, { task, spec }: Schedule): boolean {
  return maySee(principal, { task, queueName: spec.queueName ?? null });
}

/** A schedule with its next three ticks. */
export async function toScheduleView(
  schedule: Schedule,
  { client, redaction }: Pick<AdminGround, "client" | "redaction">,
): Promise<ScheduleView> {
  const { id, task, timeZone, missed, fill, isPaused, pausedUntil, isTaskKnown } = schedule;
  const isEndless = isPaused && pausedUntil === null;
  const ticks = isEndless ? [] : await upcoming(schedule, client);
  return {
    id,
    task,
    schedule: schedule.schedule,
    timeZone,
    missed,
    fillMs: fill,
    payload: redaction.payload(JSON.stringify(schedule.payload)),
    queueName: schedule.spec.queueName ?? null,
    isPaused,
    pausedUntil: toTime(pausedUntil),
    lastTick: toTime(schedule.lastTick),
    nextTicks: ticks.map((tick) => tick.toISOString()),
    isTaskKnown,
    createdAt: schedule.createdAt.toISOString(),
    updatedAt: schedule.updatedAt.toISOString(),
  };
}

async function upcoming({ schedule, timeZone, nextTick }: Schedule, client: AdminGround["client"]): Promise<Date[]> {
  // Without one the stored expression is not valid.
  if (nextTick === null) return [];
  const ticks = await client.schedules.preview({ schedule, timeZone }, 3);
  return [nextTick, ...ticks.filter((tick) => tick > nextTick)].slice(0, 3);
}
