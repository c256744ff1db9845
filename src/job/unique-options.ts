import type { Duration } from "../runtime/duration.ts";

/**
 * When a job is the same as one that is there, and what becomes of the add then.
 * It stands on job keys: the key is the identifier of the task, `:`, and what `by`
 * says, so that `removeJob` takes it, and only one job has it at any time.
 */
export interface UniqueOptions<Payload = unknown> {
  /**
   * What tells jobs of the task apart. A text becomes the end of the key as it is,
   * and of anything else its JSON does, with the properties in order; what has no room in a
   * key is hashed. Default: the whole payload, hashed.
   */
  readonly by?: KeyFunction<Payload> | undefined;
  /**
   * `"waiting"`: as long as the job has not been started; one that runs gives up
   * its key and its further attempts to the new one. A job that is kept begins after the
   * transaction of the add, so it sees what that has changed. `"unfinished"`: also
   * while it runs. One that has failed for good does not count. Default `"unfinished"`.
   */
  readonly while?: "waiting" | "unfinished" | undefined;
  /**
   * Further adds that say so are not accepted for so long after a job was added, also
   * when that job has ended. Up to a hundred years. Default: not at all. Ended by `removeJob`,
   * and when the job is cancelled or removed.
   */
  readonly for?: Duration | undefined;
  /**
   * `"keep"`: the job that is there stays as it is. `"replace"`: it becomes what was
   * added now, unless it runs or has ended. `"reject"`: the add rejects with
   * `HOWDAH_JOB_NOT_UNIQUE`, and all of a bulk add with it. Default `"keep"`.
   */
  readonly otherwise?: "keep" | "replace" | "reject" | undefined;
}

/** Waits with a job until no other one like it was added for a while. */
export interface DebounceOptions<Payload = unknown> {
  /** As in {@link UniqueOptions}. With it, payloads that are lists are joined. */
  readonly by?: KeyFunction<Payload> | undefined;
  /** How long after the last add the job is due. */
  readonly wait: Duration;
  /** How long after the first of these adds it is due at the latest. Default: no limit. */
  readonly maxWait?: Duration | undefined;
}

/** Computes from the payload of a job, as it was given, what tells it apart. */
export type KeyFunction<Payload> = {
  /** What tells a job with this payload apart. */
  of(payload: Payload): UniqueKey;
}["of"];

/** What tells the jobs of a task apart: anything that JSON can hold. */
export type UniqueKey = string | number | boolean | object;
