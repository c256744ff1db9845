import type { PayloadOf } from "../job/add/job-entry.ts";
import { checkJobSpec, checkName, MAX_LENGTH } from "../job/add/job-spec.ts";
import type { JobSpec } from "../job/job.ts";
import { CRON_PEER_NAMES } from "../job/peer-names.ts";
import type { AnyTaskDeclaration, TaskDeclaration } from "../job/task-declaration.ts";
import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import type { Duration } from "../runtime/duration.ts";
import { custom, duration, required } from "../runtime/option-kinds.ts";
import { isOptionsObject, readObject, type OptionPlace, type OptionShape } from "../runtime/options.ts";
import { parseExpression } from "./expression.ts";
import { checkTimeZone, DEFAULT_TIME_ZONE } from "./time-zone.ts";
import { createTimetable } from "./timetable.ts";

/**
 * Declares a recurring job, for the option `crons` of a worker. The payload has
 * the type of the task's; the task's schema checks it when the worker is
 * created. Throws `HOWDAH_CRON_INVALID` for an invalid schedule or zone, and
 * `HOWDAH_OPTION_UNKNOWN`, `HOWDAH_OPTION_INVALID` or `HOWDAH_JOB_INVALID` for
 * the rest.
 */
export function cron<T extends CronTask>(options: CronOptions<T>): CronEntry {
  return readCronEntry({ owner: "cron", path: "" }, options);
}

/** How the jobs of a schedule run; the schedule itself defines when. */
export interface CronSpec extends Omit<JobSpec, "runAt" | "runIn" | "jobKeyMode" | "unique" | "debounce"> {
  /** What a tick does to the waiting job of an earlier one with the same key. Default `"replace"`. */
  readonly jobKeyMode?: "replace" | "preserve_run_at" | undefined;
  /** Only off: a tick adds its job once, and `jobKey` says what it does to an earlier one. */
  readonly unique?: false | undefined;
  readonly debounce?: false | undefined;
}

/** A task that a schedule can add jobs of: one with a payload, or its identifier. */
// oxlint-disable-next-line typescript/no-explicit-any -- tasks of any payload
export type CronTask = TaskDeclaration<any, any> | string;

/** The payload of the jobs of a schedule, before `_cron` is added to it. */
export type CronPayload<T> = T extends string ? Readonly<Record<string, unknown>> : PayloadOf<T>;

/** The property `_cron` in the payload of a job of a schedule. */
export interface CronTick {
  /** The time of the tick, in ISO 8601 and UTC: `2026-01-01T04:00:00.000Z`. */
  readonly ts: string;
  /** True when the tick was due before the worker that added it had started. */
  readonly backfilled: boolean;
}

/** Options of {@link cron}. */
export type CronOptions<T extends CronTask = CronTask> = {
  /** The name of the entry in the database, 1 to 128 characters. Default: the identifier of the task. */
  readonly id?: string | undefined;
  readonly task: T;
  /** Five fields, or six with seconds first; `every` writes the usual ones. */
  readonly schedule: string;
  /** An IANA name such as `"Europe/Berlin"`. Default `"UTC"`. */
  readonly timeZone?: string | undefined;
  /** Adds ticks that were due while no worker ran, if they are not older than this. Default 0: none. */
  readonly fill?: Duration | undefined;
  readonly spec?: CronSpec | undefined;
} & ({} extends CronPayload<T>
  ? { readonly payload?: CronPayload<T> | undefined }
  : { readonly payload: CronPayload<T> });

/** A recurring job: one line of a crontab, or the result of {@link cron}. */
export interface CronEntry {
  readonly id: string;
  readonly task: CronTask;
  readonly schedule: string;
  readonly timeZone: string;
  /** In milliseconds. */
  readonly fill: number;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly spec: CronSpec;
}

/**
 * Reads an entry that was given at `place`. Throws as {@link cron} does. `more`
 * are further options that are allowed there, for messages.
 */
export function readCronEntry(place: OptionPlace, given: unknown, more: OptionShape = {}): CronEntry {
  const { fillMs, ...read } = readObject({ ...place, hints: CRON_PEER_NAMES }, given, { ...more, ...ENTRY });
  const { task } = read;
  const identifier = identifierOf(task);
  checkName(identifier, { name: "task", subject: "a schedule", max: MAX_LENGTH.identifier });
  const id = checkName(read.id ?? identifier, { name: "id", subject: "a schedule", max: MAX_LENGTH.identifier });
  createTimetable(parseExpression(read.schedule), read.timeZone ?? DEFAULT_TIME_ZONE);
  return {
    id,
    task,
    schedule: read.schedule as string,
    timeZone: read.timeZone ?? DEFAULT_TIME_ZONE,
    fill: fillMs,
    payload: read.payload ?? {},
    spec: checkCronSpec(read.spec, `schedule \`${id}\``),
  };
}

/** The identifier of a task that may be given as such. */
export function identifierOf(task: AnyTaskDeclaration | string): string {
  return typeof task === "string" ? task : task.identifier;
}

const ENTRY = {
  id: custom((given) => given),
  task: required(custom(readTask)),
  schedule: required(custom((given) => given)),
  timeZone: custom(checkTimeZone),
  fill: duration({ default: 0 }),
  payload: custom(readPayload),
  spec: custom((given) => given),
};

/** Refuses batch tasks: their payload is a list, and has no room for `_cron`. */
function readTask(given: unknown, { path }: OptionPlace): CronTask {
  if (typeof given === "string") return given;
  const task = isOptionsObject(given) ? (given as Partial<AnyTaskDeclaration>) : {};
  if (task.kind === "single") return given as CronTask;
  const found = task.kind === "batch" ? "a batch task, whose payload is a list" : describeValue(given);
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Option \`${path}\` of a schedule must be a task made by defineTask() or its identifier, found ${found}.`,
  );
}

function readPayload(given: unknown): Readonly<Record<string, unknown>> {
  if (isOptionsObject(given)) return given as Readonly<Record<string, unknown>>;
  throw new HowdahError(
    "HOWDAH_PAYLOAD_INVALID",
    `The payload of a schedule must be an object, because \`_cron\` is added to it; found ${describeValue(given)}.`,
  );
}

function checkCronSpec(given: unknown, subject: string): CronSpec {
  const { runAt, runIn, jobKeyMode } = (isOptionsObject(given) ? given : {}) as JobSpec;
  if (runAt !== undefined || runIn !== undefined) {
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`${runAt === undefined ? "runIn" : "runAt"}\` of ${subject} is set; the schedule defines when its jobs run.`,
    );
  }
  if (jobKeyMode === "unsafe_dedupe") {
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`jobKeyMode\` of ${subject} is "unsafe_dedupe", which could swallow ticks: use "replace" or "preserve_run_at".`,
    );
  }
  checkJobSpec(given, subject);
  return given ?? {};
}
