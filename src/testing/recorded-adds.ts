import { checkItems, type JobAdds, toEntries } from "../client/adds.ts";
import type { Client } from "../client/client.ts";
import { HowdahError } from "../errors.ts";
import type { JobEntry } from "../job/add/job-entry.ts";
import { checkBulkKeys } from "../job/add/prepare-and-add.ts";
import { type PreparedJob, prepareJob } from "../job/add/prepare-job.ts";
import type { Job, JobSpec } from "../job/job.ts";
import { toNewJob } from "../job/row.ts";
import { isDelay } from "../postgres/queries/run-times.ts";
import type { Clock } from "../runtime/clock.ts";

/** Keeps what is added instead of storing it: checked as ever, and in the order of the calls, keys or not. */
export class RecordedAdds {
  /** What was added, as it would have been stored. */
  readonly jobs: Job[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A client that adds here and does nothing else: its other methods reject with `HOWDAH_OPTION_INVALID`. */
  get client(): Client {
    const adds = {
      addJob: (task: JobEntry["task"], payload?: unknown, spec?: JobSpec) => this.#add({ task, payload, spec }),
      addJobs: async (jobs: unknown) => this.#addAll(toEntries(jobs)),
      addBatchJob: async (task: JobEntry["task"], items: unknown, spec?: JobSpec) =>
        this.#add({ task, payload: checkItems(items), spec }),
    } as unknown as JobAdds;
    return refusing(adds, "context.client") as Client;
  }

  async #add(entry: JobEntry): Promise<Job> {
    return this.#keep(await prepareJob(entry));
  }

  async #addAll(entries: readonly JobEntry[]): Promise<Job[]> {
    const prepared: PreparedJob[] = [];
    for (const entry of entries) prepared.push(await prepareJob(entry, { place: `jobs[${prepared.length}]` }));
    checkBulkKeys(prepared);
    return prepared.map((job) => this.#keep(job));
  }

  #keep(prepared: PreparedJob): Job {
    const now = this.#clock.now();
    const createdAt = String(now * 1000);
    const runAt = String(timeOf(prepared.runAt, now) * 1000);
    const flags = prepared.flags && JSON.stringify(Object.fromEntries(prepared.flags.map((flag) => [flag, true])));
    const id = String(this.jobs.length + 1);
    const job = { ...toNewJob({ id, runAt, createdAt, flags }, prepared), jobKey: prepared.jobKey };
    this.jobs.push(job);
    return job;
  }
}

/** What a date of more than four digits' years reads as. */
const LATEST_MS = 8_640_000_000_000_000;

/** When a job runs whose spec was checked: at a time, after a delay, or now. */
export function timeOf(runAt: string | null, now: number): number {
  if (runAt === null) return now;
  const ms = isDelay(runAt) ? now + Number.parseInt(runAt, 10) : Date.parse(runAt);
  return Number.isNaN(ms) ? LATEST_MS : ms;
}

/** An object whose methods, but for those of `allowed`, reject because there is no database. */
function refusing(allowed: object, path: string): object {
  const answer = (key: string | symbol): unknown => {
    // A promise resolves with an object unless that has a `then`.
    if (typeof key === "symbol" || key === "then") return undefined;
    if (key === "inTransaction") return () => refusing(allowed, path);
    if (key === "schedules") return refusing({}, `${path}.schedules`);
    return () => Promise.reject(noDatabase(`${path}.${key}()`, "client"));
  };
  return new Proxy(allowed, {
    get: (target, key) => (Object.hasOwn(target, key) ? Reflect.get(target, key) : answer(key)),
  });
}

/** The error for what runTask() cannot do; `option` is what makes it possible, if one does. */
export function noDatabase(what: string, option?: "client" | "driver"): HowdahError {
  const remedy =
    option === undefined ? "run the job with drain()" : `give it the option \`${option}\`, or run the job with drain()`;
  return new HowdahError("HOWDAH_OPTION_INVALID", `${what} needs a database, which runTask() does without: ${remedy}.`);
}
