import { HowdahError } from "../errors.ts";
import { checkName, MAX_LENGTH } from "../job/add/job-spec.ts";
import type { JobState } from "../job/job.ts";
import { toDate } from "../job/row.ts";
import * as queries from "../postgres/queries/control.ts";
import { cancelJobs } from "../postgres/queries/ending/change-jobs.ts";
import { waysById } from "../postgres/queries/job-pages.ts";
import { listJobIds } from "../postgres/queries/list-jobs.ts";
import { custom, oneOf, string } from "../runtime/option-kinds.ts";
import { isOptionsObject, readOptions } from "../runtime/options.ts";
import { checkJobIds } from "./job-ids.ts";
import { readReason, readTime } from "./option-readers.ts";
import { changing, type Session } from "./session.ts";

/** Stops jobs: single ones for good, those of a queue or task for a while. */
export interface JobControl {
  /**
   * Cancels jobs by their ids, or all that pass a filter. Those that wait are
   * deleted at once. Those that run are told to stop, in whatever process: a
   * worker that listens hears of it at once, one that only polls within a
   * second. Whatever happens to it, a cancelled job is not started again.
   * `reason` is what its handler finds as `signal.reason.message`, and becomes
   * its `lastError`. Default: "Cancelled".
   */
  cancelJobs(jobs: readonly string[] | CancelFilter, reason?: string): Promise<CancelResult>;
  /**
   * Lets no further job of a queue start, until `until` or `resumeQueue`. Jobs
   * that run go on; those that a worker holds in memory go back with their
   * attempt refunded. Jobs can be added meanwhile. The queue need not exist yet.
   * May be repeated: the last call says how long.
   */
  pauseQueue(name: string, options?: PauseOptions): Promise<Pause>;
  /** Ends the pause of a queue; its jobs start at once. False when it was not paused. */
  resumeQueue(name: string): Promise<boolean>;
  /** Lets no further job of a task start; otherwise as `pauseQueue`. Other jobs of the same queues go on. */
  pauseTask(identifier: string, options?: PauseOptions): Promise<Pause>;
  /** Ends the pause of a task; its jobs start at once. False when it was not paused. */
  resumeTask(identifier: string): Promise<boolean>;
  /** Everything that is paused now, by name. */
  listPauses(): Promise<Pauses>;
}

/** Which jobs {@link JobControl.cancelJobs} cancels: those that pass all of it. At least one has to be given. */
export interface CancelFilter {
  readonly state?: Exclude<JobState, "failed"> | undefined;
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
}

/** What became of jobs that were cancelled, by their ids. Jobs that are gone or have failed for good are in neither list. */
export interface CancelResult {
  /** They waited, and are deleted. */
  readonly removed: readonly string[];
  /**
   * A worker held them. Their handlers are told to stop; once they have, the
   * jobs stay as failed with the reason as their `lastError`. A handler that
   * returns all the same has done its job.
   */
  readonly signalled: readonly string[];
}

/** How long to pause. */
export interface PauseOptions {
  /** When the pause ends, by the database's clock. Default: not before it is resumed. */
  readonly until?: Date | string | undefined;
}

/** A queue or task that is paused. */
export interface Pause {
  /** The name of the queue, or the identifier of the task. */
  readonly name: string;
  /** When it ends by itself; null when it does not. */
  readonly until: Date | null;
}

/** Everything that is paused. */
export interface Pauses {
  readonly queues: readonly Pause[];
  readonly tasks: readonly Pause[];
}

/** The controlling methods on one session. */
export function createControl(session: Session): JobControl {
  const reading = { executor: session, schema: session.schema };
  const target = { executor: changing(session), schema: session.schema };

  async function cancelAll(filter: CancelFilter, reason: string): Promise<CancelResult> {
    const executor = session.guard?.later() ?? target.executor;
    const removed: string[] = [];
    const signalled: string[] = [];
    const [way = "id"] = waysById({ ...filter, isOpen: true });
    for (let after: string | undefined = "0"; after !== undefined;) {
      const page = { way, after: { priority: 0, runAt: "0", id: after }, isBackward: false, limit: BATCH_SIZE };
      const { ids, nextAfter } = await listJobIds(reading, { ...filter, isOpen: true }, page);
      const done = ids.length > 0 ? await cancelJobs({ ...target, executor }, ids, reason) : undefined;
      removed.push(...(done?.removed ?? []));
      signalled.push(...(done?.signalled ?? []));
      after = nextAfter;
    }
    return { removed, signalled };
  }

  return {
    async cancelJobs(jobs, reason) {
      const text = readOptions("cancelJobs", { reason }, { reason: custom(readReason) }).reason ?? "Cancelled";
      if (isOptionsObject(jobs)) return cancelAll(readFilter(jobs), text);
      const ids = checkJobIds(
        jobs,
        'cancelJobs() takes a list of job ids, or a filter such as `{ task: "send_email" }`',
      );
      if (ids.length === 0) return { removed: [], signalled: [] };
      return cancelJobs(target, ids, text);
    },

    async pauseQueue(name, options) {
      const checked = checkQueueName(name);
      return { name: checked, until: toPauseEnd(await queries.pauseQueue(target, checked, readUntil(options))) };
    },

    async resumeQueue(name) {
      return queries.resumeQueue(target, checkQueueName(name));
    },

    async pauseTask(identifier, options) {
      const name = checkIdentifier(identifier);
      return { name, until: toPauseEnd(await queries.pauseTask(target, name, readUntil(options))) };
    },

    async resumeTask(identifier) {
      return queries.resumeTask(target, checkIdentifier(identifier));
    },

    async listPauses() {
      const { queues, tasks } = await queries.readControl(reading, []);
      return { queues: toPauses(queues), tasks: toPauses(tasks) };
    },
  };
}

/** The jobs that are cancelled with one statement at most, which holds their rows until it ends. */
const BATCH_SIZE = 1_000;

/** The end of a pause, given in microseconds; null for one without an end. */
export function toPauseEnd(until: string): Date | null {
  return until === ENDLESS ? null : toDate(until);
}

/** How `infinity` is written in microseconds. */
const ENDLESS = "9223372036854775807";

function toPauses(paused: readonly { readonly name: string; readonly until: string }[]): Pause[] {
  return paused
    .map(({ name, until }) => ({ name, until: toPauseEnd(until) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readFilter(given: unknown): CancelFilter {
  const { state, task, queueName, jobKey } = readOptions("cancelJobs", given, {
    state: oneOf(["ready", "scheduled", "running"]),
    task: string({ maxLength: MAX_LENGTH.identifier }),
    queueName: string({ maxLength: MAX_LENGTH.queueName }),
    jobKey: string({ maxLength: MAX_LENGTH.jobKey }),
  });
  const filter = Object.fromEntries(
    Object.entries({ state, task, queueName, jobKey }).filter(([, value]) => value !== undefined),
  );
  if (Object.keys(filter).length > 0) return filter;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "Jobs to cancel must be a list of ids or a filter that says which: without one every job would be cancelled.",
  );
}

function readUntil(options: unknown): string | null {
  return readOptions("pause", options, { until: custom(readTime) }).until ?? null;
}

function checkQueueName(name: unknown): string {
  return checkName(name, { name: "name", subject: "the queue", max: MAX_LENGTH.queueName });
}

function checkIdentifier(identifier: unknown): string {
  return checkName(identifier, { name: "identifier", subject: "the task", max: MAX_LENGTH.identifier });
}
