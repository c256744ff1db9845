import { HowdahError } from "../../errors.ts";
import type { Executor } from "../../postgres/driver.ts";
import type { StoredJob } from "../../postgres/queries/stored-jobs.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";
import type { ScheduleCall } from "../../hooks/interceptors.ts";
import type { AddedJob, AddOutcome } from "../job.ts";
import { toJob, toNewJob } from "../row.ts";
import { AddCall, type AddHooks } from "./add-call.ts";
import type { JobEntry, KnownTasks } from "./job-entry.ts";
import type { JoinedAdds } from "./joined-adds.ts";
import { type PreparedJob, prepareNow } from "./prepare-job.ts";
import { readUniqueJob, readUniqueJobs } from "./read-unique-jobs.ts";
import { type JobTarget, storeJobAndNotify, storeJobIdsAndNotify, storeJobsAndNotify } from "./store-and-notify.ts";

/**
 * Checks and stores one job and returns it as it was stored. Rejects before
 * anything is written when something is wrong with it, or an interceptor is
 * against it. `method` is what the interceptors are told.
 */
export function prepareAndAddJob(
  target: AddTarget,
  entry: JobEntry,
  method: ScheduleCall["method"] = "addJob",
): Promise<AddedJob> {
  const { hooks, schema } = target;
  if (!hooks?.has("beforeJobSchedule")) return addOne(target, entry);
  const call = new AddCall(hooks, { method, size: 1 });
  return call.follow(addOne(target, entry, call), schema, ({ id }) => [id]);
}

async function addOne(target: AddTarget, entry: JobEntry, call?: AddCall): Promise<AddedJob> {
  const preparing = prepareNow(entry, { tasks: target.tasks, call });
  // What is prepared is sent in this turn: in a transaction, a commit or a rollback that comes later comes after it.
  const place = preparing instanceof Promise ? inLaterTurn(target) : target;
  const job = preparing instanceof Promise ? await preparing : preparing;
  checkSize(job.payload.length);
  const stored = await (target.joined?.store(job) ?? storeJobAndNotify(place, job)).catch(explain);
  if (!stored) throw jobDropped("A trigger on the jobs table has kept the job from being stored.");
  const added = stored.outcome === undefined ? readStored(stored, job) : readUniqueJob(stored, job);
  if (target.hooks?.has("jobAdd")) tellAdded(target.hooks, [job], [added]);
  return added;
}

/**
 * Checks and stores jobs in one statement, all of them or none, and returns
 * them in the order given. Rejects before anything is written when something
 * is wrong with one of them, or an interceptor is against it.
 */
export function prepareAndAddJobs(target: AddTarget, entries: readonly JobEntry[]): Promise<AddedJob[]> {
  return addMany(target, entries, storeForJobs);
}

/** As {@link prepareAndAddJobs}, but reads nothing back and returns only the ids. */
export function prepareAndAddJobIds(target: AddTarget, entries: readonly JobEntry[]): Promise<JobId[]> {
  return addMany(target, entries, storeForIds);
}

/** The id of a job. */
export interface JobId {
  readonly id: string;
  /** What the add did, of calls that add a job with `unique` or `debounce`. */
  readonly outcome?: AddOutcome | undefined;
}

function addMany<Added extends JobId>(
  target: AddTarget,
  entries: readonly JobEntry[],
  store: StoreMany<Added>,
): Promise<Added[]> {
  const { hooks, schema } = target;
  if (!hooks?.has("beforeJobSchedule")) return prepareAndStore(target, entries, store);
  const call = new AddCall(hooks, { method: "addJobs", size: entries.length });
  return call.follow(prepareAndStore({ ...target, call }, entries, store), schema, (jobs) => jobs.map(({ id }) => id));
}

async function prepareAndStore<Added extends JobId>(
  target: AddTarget & { readonly call?: AddCall },
  entries: readonly JobEntry[],
  store: StoreMany<Added>,
): Promise<Added[]> {
  const { tasks, call } = target;
  const jobs: PreparedJob[] = [];
  let place: AddTarget = target;
  for (const entry of entries) {
    const preparing = prepareNow(entry, { tasks, place: `jobs[${jobs.length}]`, call });
    // Nearly always it is prepared, and a promise for each of very many jobs would cost more than all the checks.
    if (preparing instanceof Promise && place === target) place = inLaterTurn(target);
    jobs.push(preparing instanceof Promise ? await preparing : preparing);
  }
  checkBulkKeys(jobs);
  checkSize(jobs.reduce((sum, { payload }) => sum + payload.length, 0));
  if (jobs.length === 0) return [];
  const added = await store(place, jobs).catch(explain);
  if (target.hooks?.has("jobAdd")) tellAdded(target.hooks, jobs, added);
  return added;
}

/** Stores all of these jobs or none. */
type StoreMany<Added extends JobId> = (place: JobTarget, jobs: readonly PreparedJob[]) => Promise<Added[]>;

async function storeForJobs(place: JobTarget, jobs: readonly PreparedJob[]): Promise<AddedJob[]> {
  const stored = await storeJobsAndNotify(place, jobs);
  if (jobs.some(({ unique }) => unique)) return readUniqueJobs(stored, jobs);
  const added: AddedJob[] = [];
  for (const job of jobs) {
    const storedJob = stored.at(added.length);
    if (storedJob) added.push(readStored(storedJob, job));
  }
  return added;
}

async function storeForIds(place: JobTarget, jobs: readonly PreparedJob[]): Promise<JobId[]> {
  // Which job has a key now is read with what became of the add.
  if (jobs.some(({ unique }) => unique)) {
    return (await storeForJobs(place, jobs)).map(({ id, outcome }) => ({ id, outcome }));
  }
  const { ids } = await storeJobIdsAndNotify(place, jobs);
  return ids.map((id) => ({ id }));
}

/** Tells of the jobs that were added, whose tasks are in the same order. */
function tellAdded(hooks: AddHooks, jobs: readonly { readonly identifier: string }[], added: readonly JobId[]): void {
  for (const [index, { id, outcome }] of added.entries()) {
    if (outcome === "kept") continue;
    hooks.emit("jobAdd", { task: jobs[index]?.identifier ?? "", jobId: id });
  }
}

/** Where jobs go, and which tasks may be added. */
export interface AddTarget extends JobTarget {
  /** In a transaction of a caller. */
  readonly guard?: LaterChanges | undefined;
  /** Lets single adds share statements. Without it each has one of its own. */
  readonly joined?: JoinedAdds | undefined;
  /** Without it any identifier may be added. */
  readonly tasks?: KnownTasks | undefined;
  /** Those who have a say in what is added, and are told of it. */
  readonly hooks?: AddHooks | undefined;
}

/** Runs a change of a call that is sent in a later turn than that of the call. */
export interface LaterChanges {
  later(): Executor;
}

/** Where jobs go whose schema or interceptor answers in a later turn. */
function inLaterTurn(target: AddTarget): AddTarget {
  const executor = target.guard?.later();
  return executor ? { ...target, executor } : target;
}

/** A job without a rule as it was stored. */
function readStored(stored: StoredJob, job: PreparedJob): AddedJob {
  const { identifier, payload } = job;
  return stored.whole ? toJob(stored.whole, { identifier, queueName: null, payload }) : toNewJob(stored, job);
}

/**
 * Refuses what one statement cannot promise about keys: the same key twice
 * (`HOWDAH_JOB_KEY_DUPLICATE`), unless rules say what becomes of the second, and `unsafe_dedupe`, which keeps a job that was
 * never asked for (`HOWDAH_JOB_KEY_MODE_UNSUPPORTED`).
 */
export function checkBulkKeys(jobs: readonly PreparedJob[]): void {
  if (jobs.every(({ jobKey }) => jobKey === null)) return;
  const places = new Map<string, number>();
  for (const [index, { jobKey, jobKeyMode }] of jobs.entries()) {
    if (jobKey === null) continue;
    if (jobKeyMode === "unsafe_dedupe")
      throw new HowdahError(
        "HOWDAH_JOB_KEY_MODE_UNSUPPORTED",
        `\`jobKeyMode\` of jobs[${index}] is "unsafe_dedupe", which a bulk add does not support: use addJob.`,
      );
    const earlier = places.get(jobKey);
    if (earlier !== undefined && !(jobs[earlier]?.unique && jobs[index]?.unique))
      throw new HowdahError(
        "HOWDAH_JOB_KEY_DUPLICATE",
        `jobs[${earlier}] and jobs[${index}] have the same \`jobKey\`; only one of them could be kept.`,
      );
    places.set(jobKey, index);
  }
}

/**
 * The most payload that one call may bring, in characters of JSON. PostgreSQL
 * ends the connection at a message of 1 GB, and a character may take four bytes
 * when it is written into an array.
 */
const MAX_PAYLOAD_LENGTH = 128 * 1024 * 1024;

function checkSize(length: number): void {
  if (length <= MAX_PAYLOAD_LENGTH) return;
  const mib = (characters: number): number => Math.ceil(characters / 1024 / 1024);
  throw new HowdahError(
    "HOWDAH_PAYLOAD_INVALID",
    `The payload is ${mib(length)} MiB of JSON, but one call takes at most ${mib(MAX_PAYLOAD_LENGTH)} MiB: ` +
      "add fewer jobs at once, or store the data elsewhere and add where it is.",
  );
}

/** SQLSTATEs that say: this payload cannot be stored, or not merged with the one that is. */
const PAYLOAD_STATES: Readonly<Record<string, string>> = {
  HWMRG:
    "The payload and the stored one are arrays that PostgreSQL cannot merge, because of a character or number in one",
  "54000": "The payload exceeds a limit of PostgreSQL",
  "54001": "The payload has more levels than PostgreSQL can read",
};

function explain(error: unknown): never {
  if (isDropped(error)) throw jobDropped(error.message, error);
  const meaning = PAYLOAD_STATES[sqlStateOf(error) ?? ""];
  if (meaning === undefined) throw error;
  throw new HowdahError("HOWDAH_PAYLOAD_INVALID", `${meaning}.`, error);
}

/** SQLSTATE: a trigger kept jobs from being stored, and the message says which. */
const DROPPED_STATE = "HWDRP";

/** True when a statement was refused because a trigger kept a job from being stored. */
export function isDropped(error: unknown): error is Error {
  return sqlStateOf(error) === DROPPED_STATE;
}

/** What an add rejects with whose job a trigger kept from being stored. */
export function jobDropped(message: string, cause?: unknown): HowdahError {
  return new HowdahError("HOWDAH_JOB_DROPPED", message, cause);
}
