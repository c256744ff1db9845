import { type CronOptions, type CronTask, readCronEntry } from "../cron/cron.ts";
import { parseExpression } from "../cron/expression.ts";
import { encodeTick, type MissedTicks, prepareTickJob } from "../cron/recurring-job.ts";
import {
  type Schedule,
  type StoredSchedule,
  ticksAfter,
  toSchedule,
  toStoredSchedule,
  upcomingTicks,
} from "../cron/stored-schedule.ts";
import { checkTimeZone, DEFAULT_TIME_ZONE } from "../cron/time-zone.ts";
import { createTimetable, type Timetable } from "../cron/timetable.ts";
import { HowdahError } from "../errors.ts";
import { prepareAndAddJob } from "../job/add/prepare-and-add.ts";
import { checkName, MAX_LENGTH } from "../job/add/job-spec.ts";
import type { Job } from "../job/job.ts";
import { encodePayload } from "../job/payload.ts";
import * as queries from "../postgres/queries/schedules.ts";
import type { Clock } from "../runtime/clock.ts";
import { custom, duration, integer, oneOf } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, readOptions } from "../runtime/options.ts";
import { readTime } from "./option-readers.ts";
import { changing, type Session } from "./session.ts";

/**
 * Jobs that recur and that can be changed while workers run. They live in the
 * database; every worker that runs adds their jobs, also of tasks that it does
 * not know, and sees a change within two seconds.
 */
export interface Schedules {
  /**
   * Stores a schedule, or changes the one with this id; doing it again changes
   * nothing. `fill` is how far back missed ticks are looked for, default 1d.
   * A new schedule begins now, and so does one whose expression or zone
   * changes. A pause stays. The task's defaults and schema are asked now.
   * Rejects as `cron()` and `addJob` do.
   */
  upsert<T extends CronTask>(schedule: ScheduleOptions<T>): Promise<Schedule>;
  /**
   * Adds no jobs until `until`, or else until `resume`. What is due in the
   * meantime is not made up for. Rejects with `HOWDAH_SCHEDULE_UNKNOWN`.
   */
  pause(id: string, options?: { readonly until?: Date | string | undefined }): Promise<Schedule>;
  /** Ends a pause; harmless without one. Rejects with `HOWDAH_SCHEDULE_UNKNOWN`. */
  resume(id: string): Promise<Schedule>;
  /** Deletes a schedule and returns it; `undefined` when there is none. Jobs that it has added stay. */
  remove(id: string): Promise<Schedule | undefined>;
  /** Every schedule, by id. */
  list(): Promise<Schedule[]>;
  /** Adds a job of this schedule now, paused or not, beside those of its ticks. Rejects with `HOWDAH_SCHEDULE_UNKNOWN`. */
  trigger(id: string): Promise<Job>;
  /** The next `count` ticks, 1 to 1000, default 5, of a stored schedule or of any expression. Rejects with `HOWDAH_SCHEDULE_UNKNOWN` or `HOWDAH_CRON_INVALID`. */
  preview(schedule: string | Preview, count?: number): Promise<Date[]>;
}

/** What {@link Schedules.upsert} stores: what `cron()` takes, with a name and a word on missed ticks. */
export type ScheduleOptions<T extends CronTask = CronTask> = Omit<CronOptions<T>, "id" | "payload"> & {
  /** What the schedule is known as, 1 to 128 characters. */
  readonly id: string;
  /** Which ticks to add that were due while no worker ran: none, the last one, or all. Default `"once"`. */
  readonly missed?: MissedTicks | undefined;
} & Pick<CronOptions<T>, "payload">;

/** A schedule that need not be stored, for {@link Schedules.preview}. */
export interface Preview {
  readonly schedule: string;
  /** Default `"UTC"`. */
  readonly timeZone?: string | undefined;
}

/** The schedule methods on one session. */
export function createSchedules(session: Session, clock: Clock): Schedules {
  const { schema } = session;
  const reading = { executor: session, schema };
  const target = { executor: changing(session), schema };
  const shown = (record: queries.ScheduleRecord): Schedule => toSchedule(toStoredSchedule(record), clock.now());

  async function find(id: string): Promise<StoredSchedule> {
    const [record] = await queries.listSchedules(reading, id);
    return toStoredSchedule(record ?? unknown(id));
  }

  return {
    async upsert(given) {
      const executor = session.guard?.later() ?? target.executor;
      return shown(await queries.upsertSchedule({ executor, schema }, await readUpsert(given, session.tasks)));
    },

    async pause(id, options) {
      const checked = checkId(id);
      const { until } = readOptions("pause", options, { until: custom(readTime) });
      return shown((await queries.pauseSchedule(target, checked, until ?? null)) ?? unknown(checked));
    },

    async resume(id) {
      const checked = checkId(id);
      return shown((await queries.resumeSchedule(target, checked)) ?? unknown(checked));
    },

    async remove(id) {
      const removed = await queries.removeSchedule(target, checkId(id));
      return removed && shown(removed);
    },

    async list() {
      return (await queries.listSchedules(reading)).map(shown);
    },

    async trigger(id) {
      const executor = session.guard?.later() ?? session;
      const { task, payload, spec } = await find(checkId(id));
      const tick = JSON.parse(encodeTick(payload, clock.now(), false)) as unknown;
      // What is stored was checked against its task, whose defaults are in it.
      const { announcer, hooks, waits } = session;
      return prepareAndAddJob({ executor, schema, announcer, hooks, waits }, { task, payload: tick, spec }, "trigger");
    },

    async preview(schedule, count) {
      const { count: most } = readOptions("preview", { count }, { count: integer({ min: 1, max: 1000, default: 5 }) });
      if (typeof schedule === "string") return upcomingTicks(await find(checkId(schedule)), clock.now(), most);
      return ticksAfter(readPreview(schedule), clock.now(), most);
    },
  };
}

const UPSERT_ONLY = { missed: oneOf(["skip", "once", "all"], { default: "once" }), fill: duration({ default: "1d" }) };

/** The schedule that an upsert stores, with the defaults filled in. */
async function readUpsert(given: unknown, tasks: Session["tasks"]): Promise<queries.ScheduleToStore> {
  const { missed, ...options } = withUpsertDefaults(given);
  const entry = readCronEntry({ owner: "schedule", path: "" }, options, UPSERT_ONLY);
  // A name that is only misspelt was refused as that. The task is no name for a stored schedule.
  checkId(options.id);
  const job = await prepareTickJob(entry, tasks);
  const { id, schedule, timeZone, fill, payload } = entry;
  return {
    id,
    timeZone,
    missed,
    job,
    expression: parseExpression(schedule).text,
    fillMs: fill,
    payload: encodePayload(payload, `schedule ${JSON.stringify(id)}`),
  };
}

function withUpsertDefaults(given: unknown) {
  if (!isOptionsObject(given)) throw invalidOption({ owner: "schedule", path: "" }, "must be an object", given);
  const { missed, fill, ...rest } = given as Readonly<Record<string, unknown>>;
  const read = readOptions("schedule", { missed, fill }, UPSERT_ONLY);
  return { ...rest, id: rest["id"], fill: read.fillMs, missed: read.missed };
}

/** The timetable of a schedule that need not be stored. */
function readPreview(preview: unknown): Timetable {
  const { schedule, timeZone } = readOptions("preview", preview, {
    schedule: custom((text) => text),
    timeZone: custom(checkTimeZone),
  });
  return createTimetable(parseExpression(schedule), timeZone ?? DEFAULT_TIME_ZONE);
}

function checkId(id: unknown): string {
  return checkName(id, { name: "id", subject: "a schedule", max: MAX_LENGTH.identifier });
}

function unknown(id: string): never {
  throw new HowdahError(
    "HOWDAH_SCHEDULE_UNKNOWN",
    `There is no schedule ${JSON.stringify(id)}; schedules.list() returns those there are.`,
  );
}
