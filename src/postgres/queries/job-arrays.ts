import type { Cell } from "../driver.ts";
import { jsonArray, numberArray, textArray } from "../literal.ts";
import type { JobToStore } from "./job-to-store.ts";
import { isDelay, type RunTimeExpression, runTimes } from "./run-times.ts";

/**
 * Jobs to store as the arrays that the functions behind bulk adds take, one for
 * each column. An array in which nothing is set is null: the function fills it up.
 */
export class JobArrays {
  readonly #jobs: readonly JobToStore[];

  constructor(jobs: readonly JobToStore[]) {
    this.#jobs = jobs;
  }

  /**
   * The first ten parameters of the functions for jobs with keys: identifiers,
   * payloads, queue names, times, most attempts, keys, priorities, flag sets, key
   * modes, timeouts.
   */
  get keyed(): readonly Cell[] {
    return [
      this.identifiers,
      this.payloads,
      this.queueNames,
      this.runAts,
      this.maxAttempts,
      this.keys,
      this.priorities,
      this.flagSets,
      this.keyModes,
      this.timeouts,
    ];
  }

  get identifiers(): Cell {
    return textArray(this.#jobs.map(({ identifier }) => identifier));
  }

  /** One identifier when all jobs are of one task, as most are that come together. */
  get distinctIdentifiers(): Cell {
    const identifier = this.#jobs[0]?.identifier ?? "";
    const isOneTask = this.#jobs.every((job) => job.identifier === identifier);
    return isOneTask ? textArray([identifier]) : this.identifiers;
  }

  get payloads(): Cell {
    return jsonArray(this.#jobs.map(({ payload }) => payload));
  }

  get queueNames(): Cell {
    return this.#texts(({ queueName }) => queueName);
  }

  get runAts(): Cell {
    return this.#texts(({ runAt }) => runAt);
  }

  /** The expression for the parameter that has {@link runAts}, and the name of the statement that it is in. */
  runTimes(parameter: string, name: string): RunTimeExpression {
    return runTimes(parameter, { delayed: this.#jobs.some(({ runAt }) => isDelay(runAt)), name });
  }

  get maxAttempts(): Cell {
    return this.#numbers(({ maxAttempts }) => maxAttempts);
  }

  get keys(): Cell {
    return this.#texts(({ jobKey }) => jobKey);
  }

  /** Of jobs without a key none. */
  get keyModes(): Cell {
    return this.#texts(({ jobKey, jobKeyMode }) => (jobKey === null ? null : jobKeyMode));
  }

  get priorities(): Cell {
    return this.#numbers(({ priority }) => priority);
  }

  get flagSets(): Cell {
    return this.#texts(({ flags }) => flags && flagSet(flags));
  }

  get timeouts(): Cell {
    return this.#numbers(({ timeoutMs }) => timeoutMs);
  }

  /** Whether the result of each is kept; null when that is true of none. */
  get awaited(): Cell {
    return this.isAwaited ? numberArray(this.#jobs.map(({ awaited }) => String(awaited === true))) : null;
  }

  /** Whether the result of one of them is kept. */
  get isAwaited(): boolean {
    return this.#jobs.some(({ awaited }) => awaited === true);
  }

  #texts(property: Property<string>): Cell {
    return this.#isUnset(property) ? null : textArray(this.#jobs.map(property));
  }

  #numbers(property: Property<number>): Cell {
    return this.#isUnset(property) ? null : numberArray(this.#jobs.map((job) => property(job) ?? "null"));
  }

  #isUnset(property: Property<unknown>): boolean {
    return this.#jobs.every((job) => property(job) === null);
  }
}

type Property<T> = (job: JobToStore) => T | null;

/** A set of flags as the object in which it is stored. */
export function flagSet(flags: readonly string[]): string {
  return JSON.stringify(Object.fromEntries(flags.map((flag) => [flag, true])));
}
