import { prepareJob } from "../job/add/prepare-job.ts";
import type { JobEntry, KnownTasks } from "../job/add/job-entry.ts";
import { HowdahError } from "../errors.ts";
import { encodePayload } from "../job/payload.ts";
import type { TickJob } from "../postgres/queries/cron-ledger.ts";
import type { CronEntry, CronTick } from "./cron.ts";
import { parseExpression } from "./expression.ts";
import { createTimetable, type Timetable } from "./timetable.ts";

/** A recurring job that is ready to be added. */
export interface RecurringJob {
  readonly id: string;
  /** Where it was declared: by a worker's options, or in the database. */
  readonly source: "crontab" | "schedule";
  readonly timetable: Timetable;
  readonly fillMs: number;
  readonly missed: MissedTicks;
  /** Without `_cron`. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly job: TickJob;
}

/**
 * Which ticks to add that were due while no worker ran and that `fill` reaches:
 * none of them, the last one, or every one.
 */
export type MissedTicks = "skip" | "once" | "all";

/**
 * Checks an entry like the add of a job, once for all its ticks: the defaults
 * of its task are applied, and the task's schema must accept the payload with
 * `_cron` in it. `tasks` are those that may be added, as for a job. Throws the
 * errors of `addJob`.
 */
export async function prepareRecurringJob(entry: CronEntry, tasks?: KnownTasks): Promise<RecurringJob> {
  const timetable = createTimetable(parseExpression(entry.schedule), entry.timeZone);
  const { id, payload, fill } = entry;
  return {
    id,
    source: "crontab",
    timetable,
    fillMs: fill,
    missed: "all",
    payload,
    job: await prepareTickJob(entry, tasks),
  };
}

/** How the jobs of an entry are stored. Throws the errors of `addJob`. */
export async function prepareTickJob(entry: CronEntry, tasks?: KnownTasks): Promise<TickJob> {
  const { id, task, payload, spec } = entry;
  // A Map, for instance, would become an empty object when `_cron` is added.
  encodePayload(payload, `schedule ${JSON.stringify(id)}`);
  // Any tick is suitable, because schemas check the shape.
  const sample: JobEntry = { task, payload: { ...payload, _cron: describeTick(0, false) }, spec };
  const prepared = await prepareJob(sample, { tasks, place: `schedule ${JSON.stringify(id)}, job` });
  const { identifier, queueName, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs } = prepared;
  if (prepared.unique) {
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `Task \`${identifier}\` has \`unique\` or \`debounce\`, which schedules do not know: give schedule \`${id}\` ` +
        "`spec: { unique: false, debounce: false }`, and a `jobKey` for one job at a time.",
    );
  }
  if (jobKeyMode === "unsafe_dedupe") {
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `The defaults of task \`${identifier}\` have the \`jobKeyMode\` "unsafe_dedupe", which could swallow ticks: ` +
        `give schedule \`${id}\` another one.`,
    );
  }
  return { identifier, queueName, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs };
}

/** The payload of one tick, as JSON. */
export function encodeTick(payload: object, tickMs: number, backfilled: boolean): string {
  return JSON.stringify({ ...payload, _cron: describeTick(tickMs, backfilled) });
}

function describeTick(tickMs: number, backfilled: boolean): CronTick {
  return { ts: new Date(tickMs).toISOString(), backfilled };
}
