import { HowdahError } from "../../errors.ts";
import type { Executor } from "../../postgres/driver.ts";
import type { StoredJob } from "../../postgres/queries/stored-jobs.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";
import type { ScheduleCall } from "../../hooks/interceptors.ts";
import type { Job } from "../job.ts";
import { toJob, toNewJob } from "../row.ts";
import { type AddCall, type AddHooks, withAddCall } from "./add-call.ts";
import type { JobEntry, KnownTasks } from "./job-entry.ts";
import { isDropped, jobDropped } from "./job-dropped.ts";
import { checkBulkKeys } from "./job-key.ts";
import type { JoinedAdds } from "./joined-adds.ts";
import { type PreparedJob, prepareNow } from "./prepare-job.ts";
import { type JobTarget, storeJobAndNotify, storeJobsAndNotify } from "./store-and-notify.ts";

/**
 * Checks and stores one job and returns it as it was stored. Rejects before
 * anything is written when something is wrong with it, or an interceptor is
 * against it. `method` is what the interceptors are told.
 */
export function prepareAndAddJob(
  target: AddTarget,
  entry: JobEntry,
  method: ScheduleCall["method"] = "addJob",
): Promise<Job> {
  const { hooks, schema } = target;
  return withAddCall(
    { hooks, schema, method, size: 1 },
    (call) => addOne(target, entry, call),
    ({ id }) => [id],
  );
}

async function addOne(target: AddTarget, entry: JobEntry, call: AddCall | undefined): Promise<Job> {
  const preparing = prepareNow(entry, { tasks: target.tasks, call });
  // What is prepared is sent in this turn: in a transaction, a commit or a rollback that comes later comes after it.
  const place = preparing instanceof Promise ? inLaterTurn(target) : target;
  const job = preparing instanceof Promise ? await preparing : preparing;
  checkSize([job]);
  const stored = await (target.joined?.store(job) ?? storeJobAndNotify(place, job)).catch(explain);
  if (!stored) throw jobDropped("A trigger on the jobs table has kept the job from being stored.");
  return readStored(stored, job);
}

/**
 * Checks and stores jobs in one statement, all of them or none, and returns
 * them in the order given. Rejects before anything is written when something
 * is wrong with one of them, or an interceptor is against it.
 */
export function prepareAndAddJobs(target: AddTarget, entries: readonly JobEntry[]): Promise<Job[]> {
  const { hooks, schema } = target;
  return withAddCall(
    { hooks, schema, method: "addJobs", size: entries.length },
    (call) => addMany(target, entries, call),
    (jobs) => jobs.map(({ id }) => id),
  );
}

async function addMany(target: AddTarget, entries: readonly JobEntry[], call: AddCall | undefined): Promise<Job[]> {
  const { tasks } = target;
  const jobs: PreparedJob[] = [];
  let place = target;
  for (const entry of entries) {
    const preparing = prepareNow(entry, { tasks, place: `jobs[${jobs.length}]`, call });
    // Nearly always it is prepared, and a promise for each of very many jobs would cost more than all the checks.
    if (preparing instanceof Promise && place === target) place = inLaterTurn(target);
    jobs.push(preparing instanceof Promise ? await preparing : preparing);
  }
  checkBulkKeys(jobs);
  checkSize(jobs);
  if (jobs.length === 0) return [];
  const stored = await storeJobsAndNotify(place, jobs).catch(explain);
  const added: Job[] = [];
  for (const job of jobs) {
    const storedJob = stored.at(added.length);
    if (storedJob) added.push(readStored(storedJob, job));
  }
  return added;
}

/** Where jobs go, and which tasks may be added. */
export interface AddTarget extends JobTarget {
  /** In a transaction of a caller. */
  readonly guard?: LaterChanges | undefined;
  /** Lets single adds share statements. Without it each has one of its own. */
  readonly joined?: JoinedAdds | undefined;
  /** Without it any identifier may be added. */
  readonly tasks?: KnownTasks | undefined;
  /** Those who have a say in what is added. */
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

function readStored(stored: StoredJob, job: PreparedJob): Job {
  const { identifier, payload } = job;
  return stored.whole ? toJob(stored.whole, { identifier, queueName: null, payload }) : toNewJob(stored, job);
}

/**
 * The most payload that one call may bring, in characters of JSON. PostgreSQL
 * ends the connection at a message of 1 GB, and a character may take four bytes
 * when it is written into an array.
 */
const MAX_PAYLOAD_LENGTH = 128 * 1024 * 1024;

function checkSize(jobs: readonly PreparedJob[]): void {
  const length = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
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
