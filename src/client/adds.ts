import type { ItemsOf, JobEntry, PayloadAndSpec, PayloadOf, RawJob, ResultOf, TaskJob } from "../job/add/job-entry.ts";
import type { JoinedAdds } from "../job/add/joined-adds.ts";
import { type JobId, prepareAndAddJob, prepareAndAddJobIds, prepareAndAddJobs } from "../job/add/prepare-and-add.ts";
import { HowdahError } from "../errors.ts";
import type { AddedJob, JobSpec } from "../job/job.ts";
import { ENTRY_PEER_NAMES } from "../job/peer-names.ts";
import type { AnyBatchTaskDeclaration, AnyTaskDeclaration } from "../job/task-declaration.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { oneOf } from "../runtime/option-kinds.ts";
import { readOptions, unknownNameHint } from "../runtime/options.ts";
import type { Session } from "./session.ts";

/**
 * Adds jobs. Whatever is wrong with a job is refused before anything is
 * written: `HOWDAH_JOB_INVALID` and `HOWDAH_OPTION_UNKNOWN` for its spec,
 * `HOWDAH_PAYLOAD_INVALID` for its payload, `HOWDAH_TASK_UNKNOWN` when the
 * client was given tasks and this is none of them, `HOWDAH_JOB_SKIPPED` and
 * `HOWDAH_JOB_REFUSED` when an interceptor of `beforeJobSchedule` says so, and
 * `HOWDAH_HOOK_FAILED`, `HOWDAH_HOOK_TIMEOUT` or `HOWDAH_HOOK_ANSWER_INVALID`
 * when it does not answer as it should. `HOWDAH_JOB_NOT_UNIQUE` when a job like it
 * is there and `unique.otherwise` is `"reject"`; otherwise the `outcome` of the
 * job that is returned says what an add with `unique` or `debounce` did.
 */
export interface JobAdds {
  /**
   * Stores one job and returns it. The defaults of the task fill up what `spec`
   * leaves out, its schema decides on the payload; what is stored is the
   * payload as it was given. A missing payload is `{}`. Instead of a task its
   * identifier will do: then nothing is known of the payload.
   */
  // One signature and not an overload for each kind, of which the compiler would explain the one that was not meant.
  addJob<T extends AnyTaskDeclaration | string>(
    task: T,
    ...payloadAndSpec: PayloadAndSpec<PayloadOf<T>>
  ): Promise<AddedJob<PayloadOf<T>, ResultOf<T>>>;
  /**
   * As below, but returns only the id of each job, in the order given: nothing
   * else is read back, which costs less. With a key it is the id of the job that
   * has the key now. Everything else is the same.
   */
  addJobs<T extends readonly unknown[]>(
    jobs: { readonly [K in keyof T]: TaskJob<T[K]> | RawJob },
    options: AddJobsOptions & { readonly returning: "ids" },
  ): Promise<{ -readonly [K in keyof T]: JobId }>;
  /**
   * Stores all of these jobs or none, in one statement, and returns them in the
   * order given. `jobKeyMode` may differ from job to job, except that
   * `unsafe_dedupe` rejects with `HOWDAH_JOB_KEY_MODE_UNSUPPORTED`, and one key
   * given twice with `HOWDAH_JOB_KEY_DUPLICATE`, unless both are `unique`: then the
   * second finds the first. A trigger that keeps one of the
   * jobs from being stored makes it reject with `HOWDAH_JOB_DROPPED`. An empty
   * list asks nothing of the database.
   */
  addJobs<T extends readonly unknown[]>(
    jobs: { readonly [K in keyof T]: TaskJob<T[K]> | RawJob },
    options?: AddJobsOptions & { readonly returning?: "jobs" | undefined },
  ): Promise<{
    -readonly [K in keyof T]: AddedJob<PayloadOf<T[K]>, ResultOf<T[K]>>;
  }>;
  /**
   * Stores one job with several items, for a task made by `defineBatchTask`, or
   * for the identifier of one. `HOWDAH_BATCH_EMPTY` without items.
   */
  addBatchJob<T extends AnyBatchTaskDeclaration | string>(
    task: T,
    items: ItemsOf<T>,
    spec?: JobSpec,
  ): Promise<AddedJob<PayloadOf<T>>>;
}

/** How jobs are added in bulk. */
export interface AddJobsOptions {
  /**
   * What the call resolves to: `"jobs"`, each as it was stored, or `"ids"`, which
   * costs the database and the process less. Default `"jobs"`.
   */
  readonly returning?: "jobs" | "ids" | undefined;
}

/** The adding methods on one session. With `joined`, single adds may share statements. */
export function createAdds(session: Session, joined?: JoinedAdds): JobAdds {
  const { schema, tasks, announcer, hooks, waits, guard, changing: executor } = session;
  const target = { executor, schema, tasks, announcer, hooks, waits, joined, guard };
  const add = (task: AnyTaskDeclaration | string, payload?: unknown, spec?: JobSpec): Promise<AddedJob> =>
    prepareAndAddJob(target, { task, payload, spec });
  const addMany = async (jobs: unknown, options: unknown): Promise<readonly JobId[]> => {
    const { returning } = readOptions("addJobs", options, { returning: oneOf(["jobs", "ids"]) });
    const entries = toEntries(jobs);
    return returning === "ids" ? prepareAndAddJobIds(target, entries) : prepareAndAddJobs(target, entries);
  };
  const addBatch = async (task: AnyTaskDeclaration | string, items: unknown, spec?: JobSpec): Promise<AddedJob> =>
    prepareAndAddJob(target, { task, payload: checkItems(items), spec }, "addBatchJob");
  // What the compiler has checked against the tasks is the same at run time.
  return { addJob: add, addJobs: addMany, addBatchJob: addBatch } as unknown as JobAdds;
}

/** The items of a batch, as they were given. Throws `HOWDAH_PAYLOAD_INVALID` and `HOWDAH_BATCH_EMPTY`. */
export function checkItems(items: unknown): readonly unknown[] {
  if (!Array.isArray(items))
    throw new HowdahError("HOWDAH_PAYLOAD_INVALID", `Batch items must be a list; found ${describeValue(items)}.`);
  if (items.length > 0) return items;
  throw new HowdahError("HOWDAH_BATCH_EMPTY", "A batch job needs at least one item, or there is nothing to run.");
}

const ENTRY_KEYS = ["task", "identifier", "payload", "spec"];

/** What `addJobs` was given, as far as it has the form of jobs. */
export function toEntries(jobs: unknown): JobEntry[] {
  if (!Array.isArray(jobs))
    throw new HowdahError("HOWDAH_JOB_INVALID", `Jobs to add must be a list; found ${describeValue(jobs)}.`);
  return Array.from(jobs as readonly unknown[], toEntry);
}

function toEntry(job: unknown, index: number): JobEntry {
  if (typeof job !== "object" || job === null)
    throw new HowdahError("HOWDAH_JOB_INVALID", `jobs[${index}] must be an object; found ${describeValue(job)}.`);
  for (const key of Object.keys(job)) {
    if (!ENTRY_KEYS.includes(key))
      throw new HowdahError(
        "HOWDAH_OPTION_UNKNOWN",
        `Unknown job option \`${key}\` of jobs[${index}]${unknownNameHint(key, { known: ENTRY_KEYS, hints: ENTRY_PEER_NAMES })}`,
      );
  }
  const { task, identifier, payload, spec } = job as Partial<Record<keyof JobEntry | "identifier", unknown>>;
  if ((task === undefined) === (identifier === undefined))
    throw new HowdahError("HOWDAH_JOB_INVALID", `jobs[${index}] must have either a \`task\` or an \`identifier\`.`);
  return { task: (task ?? identifier) as JobEntry["task"], payload, spec: spec as JobSpec | undefined };
}
