import { AsyncResource } from "node:async_hooks";
import type { JobToStore } from "../../postgres/queries/job-to-store.ts";
import type { StoredJob } from "../../postgres/queries/stored-jobs.ts";
import { isRefused } from "../../postgres/sqlstate.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import { PATIENCE_MS } from "../../runtime/lanes.ts";

/**
 * Lets adds of one client that happen at the same moment share statements and
 * commits. What is added in one turn goes together. While few statements are
 * under way they are sent with the turn; otherwise they wait, and go together
 * with the next. So an add waits for a statement that was sent before it, at
 * most, and never for a timer.
 *
 *   an add                                         goes
 *   has a key, a name that is new to this client,  alone, at once, whatever is
 *     a large payload, or is awaited                 under way
 *   comes while fewer than two are under way       at the end of the turn
 *   comes later                                    when one of them has ended
 *   was in a statement that was refused            alone, at once
 *
 * No add suffers for another. Keys and new names may have to wait for a
 * transaction of another caller, so they are never joined. What else a statement
 * may wait for is rare (triggers and unique indexes of users, a name that was
 * cleaned up and is just added anew): a joined one that waits for a lock, or
 * that is refused for whatever reason, leaves nothing, and each of its adds is
 * sent alone. One that takes its time no longer counts as under way, so that
 * those behind it go on over another connection. When the outcome is not known,
 * each of the adds rejects with what happened, as it would have alone.
 */
export class JoinedAdds {
  readonly #jobs: AddStore;
  readonly #clock: Clock;
  readonly #known = new KnownNames();
  /** When each of the statements that others wait for was sent. */
  readonly #underWay = new Map<object, number>();
  /** The surroundings that the client was made in: what is sent for several callers belongs to none of them. */
  readonly #surroundings = new AsyncResource("howdah.adds");
  readonly #overtakeForAll = (): void => this.#surroundings.runInAsyncScope(() => this.#overtake());
  #waiting: WaitingAdd[] = [];
  #watch: Timer | undefined;
  #turnEnds = false;

  constructor(jobs: AddStore, clock: Clock) {
    this.#jobs = jobs;
    this.#clock = clock;
  }

  /** Resolves when the job is committed, to how it was stored. Rejects as an add that is alone. */
  store(job: JobToStore): Promise<StoredJob | undefined> {
    const isApart = job.jobKey !== null || job.awaited === true || job.payload.length > MAX_PAYLOAD_LENGTH;
    if (isApart) return this.#jobs.alone(job);
    return this.#known.has(job) ? this.#join(job) : this.#introduce(job);
  }

  async #introduce(job: JobToStore): Promise<StoredJob | undefined> {
    const stored = await this.#jobs.alone(job);
    this.#known.add(job);
    return stored;
  }

  #join(job: JobToStore): Promise<StoredJob | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#sendAfterTurn();
    });
  }

  /** The next tick comes when all promises of this turn have settled, so whatever they add goes along. */
  #sendAfterTurn(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    process.nextTick(() => {
      this.#turnEnds = false;
      this.#sendWaiting();
    });
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0 && this.#underWay.size < MAX_UNDER_WAY) void this.#send(this.#take());
    if (this.#waiting.length === 0) {
      this.#watch?.cancel();
      this.#watch = undefined;
    } else this.#watch ??= this.#clock.setTimer(PATIENCE_MS, this.#overtakeForAll, true);
  }

  /** Those who wait go past the statements that have kept them waiting. */
  #overtake(): void {
    this.#watch = undefined;
    const latest = this.#clock.monotonic() - PATIENCE_MS;
    for (const [statement, sentAt] of this.#underWay) if (sentAt <= latest) this.#underWay.delete(statement);
    this.#sendWaiting();
  }

  #take(): WaitingAdd[] {
    let length = 0;
    let count = 0;
    for (const { job } of this.#waiting) {
      length += job.payload.length;
      if (count === MAX_JOBS || (count > 0 && length > MAX_LENGTH)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Sends one statement. Never rejects. */
  async #send(adds: readonly WaitingAdd[]): Promise<void> {
    const statement = {};
    this.#underWay.set(statement, this.#clock.monotonic());
    try {
      const [first] = adds;
      if (adds.length === 1) first?.resolve(await this.#jobs.alone(first.job));
      else await this.#storeTogether(adds);
    } catch (error) {
      if (adds.length > 1 && isRefused(error)) this.#sendApart(adds);
      else for (const { reject } of adds) reject(error);
    }
    this.#underWay.delete(statement);
    // Those who have just been answered may add again.
    this.#surroundings.runInAsyncScope(() => this.#sendAfterTurn());
  }

  async #storeTogether(adds: readonly WaitingAdd[]): Promise<void> {
    const stored = await this.#jobs.together(adds.map(({ job }) => job));
    for (const [index, add] of adds.entries()) add.resolve(stored[index]);
  }

  /** One of them is at fault, or has to wait: for its names, perhaps, so that all of them have to prove themselves anew. */
  #sendApart(adds: readonly WaitingAdd[]): void {
    for (const { job } of adds) this.#known.remove(job);
    for (const { job, resolve, reject } of adds) this.#introduce(job).then(resolve, reject);
  }
}

/** Where {@link JoinedAdds} stores jobs. */
export interface AddStore {
  /** Stores one job with a statement of its own; `undefined` when a trigger has dropped it. */
  alone(job: JobToStore): Promise<StoredJob | undefined>;
  /** Stores all jobs or none, in one statement and in order, and waits for a lock of others for `PATIENCE_MS` at most. */
  together(jobs: readonly JobToStore[]): Promise<readonly (StoredJob | undefined)[]>;
}

interface WaitingAdd {
  readonly job: JobToStore;
  resolve(stored: StoredJob | undefined): void;
  reject(error: unknown): void;
}

/** With this number of statements under way adds wait for one of them to end: more make each add dearer and none sooner. */
const MAX_UNDER_WAY = 2;

/** The most jobs of one statement, and the most JSON, in characters. */
const MAX_JOBS = 200;

const MAX_LENGTH = 1024 * 1024;

/** A payload that is longer takes its time alone. */
const MAX_PAYLOAD_LENGTH = 64 * 1024;

type Names = Pick<JobToStore, "identifier" | "queueName">;

/** The names of each kind that are remembered, at most; the one remembered longest makes room. */
const MAX_NAMES = 10_000;

/**
 * The tasks and queues of which a job was stored before, so that their rows
 * are most likely there. An add of any other name may have to wait for a
 * transaction that adds the same name and has not ended.
 */
export class KnownNames {
  readonly #identifiers = new Set<string>();
  readonly #queueNames = new Set<string>();

  /** Whether jobs of this task and this queue were stored before. */
  has({ identifier, queueName }: Names): boolean {
    return this.#identifiers.has(identifier) && (queueName === null || this.#queueNames.has(queueName));
  }

  /** A job with these names has been committed. */
  add({ identifier, queueName }: Names): void {
    remember(this.#identifiers, identifier);
    if (queueName !== null) remember(this.#queueNames, queueName);
  }

  /** The rows of these names may be gone. */
  remove({ identifier, queueName }: Names): void {
    this.#identifiers.delete(identifier);
    if (queueName !== null) this.#queueNames.delete(queueName);
  }
}

function remember(names: Set<string>, name: string): void {
  if (names.has(name)) return;
  const [oldest] = names;
  if (names.size >= MAX_NAMES && oldest !== undefined) names.delete(oldest);
  names.add(name);
}
