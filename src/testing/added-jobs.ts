import type { JobInspection } from "../client/inspect.ts";
import type { PayloadOf } from "../job/add/job-entry.ts";
import { JOB_STATES, type Job, type JobState } from "../job/job.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";
import { custom, integer, list, oneOf, required, string } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type OptionPlace, readOptions } from "../runtime/options.ts";
import { allJobs } from "./all-jobs.ts";
import { isLike, type Like } from "./is-like.ts";

/**
 * The jobs that were added and are like `wanted`, in the order of their adds:
 * of a client those that wait to run, in a transaction also its own; of a list,
 * or of what `runTask` gave, those in it.
 */
export async function addedJobs<T extends AnyTaskDeclaration | string>(
  source: AddedJobsSource,
  wanted: WantedJob<PayloadOf<T>> & { readonly task?: T | undefined } = {},
): Promise<Job<PayloadOf<T>>[]> {
  const { task, state, ...like } = readOptions("addedJobs", wanted, SHAPE);
  const { queueName, jobKey } = like;
  const jobs = isClient(source) ? await allJobs(source, { task, state, queueName, jobKey }) : listOf(source);
  const isState = state === undefined ? isWaiting : (job: Job) => job.state === state;
  const found = jobs.filter((job) => isState(job) && (task === undefined || job.task === task) && fits(job, like));
  return found as Job<PayloadOf<T>>[];
}

/** Where added jobs are looked for: a client, also one in a transaction, a list of jobs, or what `runTask` resolved with. */
export type AddedJobsSource = Pick<JobInspection, "listJobs"> | readonly Job[] | { readonly added: readonly Job[] };

/** What a job is like. What is left out may be anything. */
export interface WantedJob<Payload = unknown> {
  /**
   * Properties that the payload has, among others; lists are compared item by
   * item. A regular expression stands for a text that fits it, and matchers such as
   * `expect.any(String)` for what they match.
   */
  readonly payload?: Like<Payload> | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  readonly priority?: number | undefined;
  readonly maxAttempts?: number | undefined;
  /** All of them, in any order. */
  readonly flags?: readonly string[] | undefined;
  /** When it is due: this time, or one within these, both included. */
  readonly runAt?: Date | string | RunAtRange | undefined;
  /** Default: `ready` or `scheduled`. */
  readonly state?: JobState | undefined;
}

/** What a job that is asserted is like, and how many of them there are. */
export interface AssertedJob<Payload = unknown> extends WantedJob<Payload> {
  /** How many there have to be. Default: at least one. */
  readonly times?: number | undefined;
}

/** Times between which a job is due. */
export interface RunAtRange {
  readonly from?: Date | string | undefined;
  readonly to?: Date | string | undefined;
}

const SHAPE = {
  task: custom(readTaskName),
  payload: custom((given) => ({ like: given })),
  queueName: string(),
  jobKey: string(),
  priority: integer(),
  maxAttempts: integer(),
  flags: custom((given, place) => list(required(string())).read(given, place)),
  runAt: custom(readRange),
  state: oneOf(JOB_STATES),
};

/** What {@link WantedJob} says, read. */
interface ReadWanted {
  readonly payload: { readonly like: unknown } | undefined;
  readonly queueName: string | undefined;
  readonly jobKey: string | undefined;
  readonly priority: number | undefined;
  readonly maxAttempts: number | undefined;
  readonly flags: readonly string[] | undefined;
  readonly runAt: { readonly from: number; readonly to: number } | undefined;
}

function fits(job: Job, { payload, flags, runAt, ...exactly }: ReadWanted): boolean {
  const time = job.runAt.getTime();
  return (
    Object.entries(exactly).every(([name, value]) => value === undefined || job[name as keyof Job] === value) &&
    (payload === undefined || isLike(job.payload, payload.like)) &&
    (flags === undefined || isLike([...job.flags].sort(), [...flags].sort())) &&
    (runAt === undefined || (time >= runAt.from && time <= runAt.to))
  );
}

function isClient(source: AddedJobsSource): source is Pick<JobInspection, "listJobs"> {
  return "listJobs" in source;
}

function listOf(source: Exclude<AddedJobsSource, Pick<JobInspection, "listJobs">>): readonly Job[] {
  return "added" in source ? source.added : source;
}

function isWaiting({ state }: Job): boolean {
  return state === "ready" || state === "scheduled";
}

function readTaskName(given: unknown, place: OptionPlace): string {
  if (typeof given === "string") return given;
  const { identifier } = isOptionsObject(given) ? (given as { readonly identifier?: unknown }) : {};
  if (typeof identifier === "string") return identifier;
  throw invalidOption(place, "must be a task or its identifier", given);
}

function readRange(given: unknown, place: OptionPlace): { from: number; to: number } {
  const isRange = isOptionsObject(given) && !(given instanceof Date);
  const { from, to } = isRange ? (given as RunAtRange) : { from: given, to: given };
  const range = {
    from: from === undefined ? Number.NEGATIVE_INFINITY : new Date(from as Date).getTime(),
    to: to === undefined ? Number.POSITIVE_INFINITY : new Date(to as Date).getTime(),
  };
  if (!Number.isNaN(range.from) && !Number.isNaN(range.to)) return range;
  throw invalidOption(place, "must be a valid Date, a time in ISO 8601, or `{ from, to }` of these", given);
}
