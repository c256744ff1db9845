import type { Backlog } from "../client/backlog.ts";
import type { Hooks } from "../hooks/hooks.ts";
import type { Clock } from "../runtime/clock.ts";
import { backlogValues, type GaugeValue } from "./gauge-values.ts";
import type { TaskLabels } from "./task-labels.ts";

/**
 * Reads the backlog when it is asked for, through the client of one of the
 * workers or clients of the process: not again before ten seconds, nor before
 * twenty times what the last reading took, have passed; a minute at most after
 * one that has failed. Where workers take samples, all processes have the counts
 * from the last one, and each counts the jobs of each task once a minute.
 */
export class BacklogReader {
  readonly #clock: Clock;
  readonly #tasks: TaskLabels;
  readonly #sources = new Set<Hooks>();
  #reading: Promise<void> | undefined;
  #last: { readonly backlog: Backlog; readonly readAt: number; readonly tookMs: number } | undefined;
  #restUntil = Number.NEGATIVE_INFINITY;
  #tasksReadAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, tasks: TaskLabels) {
    this.#clock = clock;
    this.#tasks = tasks;
  }

  /** A worker or client by which it may read. */
  follow(hooks: Hooks): void {
    this.#sources.add(hooks);
  }

  /** Resolves when the numbers are as new as they may be, or after a second: then the reading goes on. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#clock.monotonic() >= this.#restUntil) this.#reading ??= this.#read();
    if (!this.#reading) return;
    const done = new AbortController();
    void this.#reading.then(() => done.abort());
    await this.#clock.sleep(PATIENCE_MS, done.signal);
  }

  /** What was read last; nothing before the first reading. */
  *values(): Iterable<GaugeValue> {
    if (!this.#last) return;
    const { backlog, readAt, tookMs } = this.#last;
    yield* backlogValues(backlog, this.#tasks);
    yield { name: "howdah_backlog_age_seconds", value: (this.#clock.monotonic() - readAt) / 1_000, labels: [] };
    yield { name: "howdah_backlog_read_seconds", value: tookMs / 1_000, labels: [] };
  }

  async #read(): Promise<void> {
    const startedAt = this.#clock.monotonic();
    const backlog = await this.#ask();
    const readAt = this.#clock.monotonic();
    const tookMs = readAt - startedAt;
    if (backlog) this.#last = { backlog, readAt, tookMs };
    const restMs = Math.max(LEAST_REST_MS, REST_FACTOR * tookMs);
    // One that failed has mostly waited: the numbers come back soon after the database does.
    this.#restUntil = readAt + (backlog ? restMs : Math.min(restMs, MOST_REST_AFTER_FAILURE_MS));
    this.#reading = undefined;
  }

  /** The answer of the first source that can be asked. When the database has none, the age of the last one says so. */
  async #ask(): Promise<Backlog | undefined> {
    for (const source of this.#sources) {
      try {
        return await this.#readThrough(source);
      } catch (error) {
        const code = codeOf(error);
        if (code === "HOWDAH_CLIENT_CLOSED") this.#sources.delete(source);
        else if (code !== "HOWDAH_HOOKS_UNAVAILABLE") return undefined;
      }
    }
    return undefined;
  }

  async #readThrough({ client }: Hooks): Promise<Backlog> {
    const startedAt = this.#clock.monotonic();
    const isFresh = startedAt - this.#tasksReadAt < TASKS_REST_MS;
    const known = this.#last?.backlog.isSample === true && isFresh ? this.#last.backlog.tasks : undefined;
    const backlog = await client.backlog({ maxSampleAge: MAX_SAMPLE_AGE_MS, tasks: known === undefined });
    if (known === undefined) this.#tasksReadAt = startedAt;
    return known === undefined ? backlog : { ...backlog, tasks: known };
  }
}

/** Twice as long as a sample is the newest one. */
const MAX_SAMPLE_AGE_MS = 20_000;

/** How long the numbers of tasks may be old while those of all jobs come from samples. */
const TASKS_REST_MS = 60_000;

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** How long a scrape waits for the database. */
const PATIENCE_MS = 1_000;

/** The least time between two readings, and the least share of the time in which none is under way. */
const LEAST_REST_MS = 10_000;
const REST_FACTOR = 20;
const MOST_REST_AFTER_FAILURE_MS = 60_000;
