import type { ChainEnd, Release, ReleaseAnswer, ReleaseRequest } from "../../postgres/queries/ending/release.ts";
import { isLocked, isRefused, isTransient, isUnknownOutcome } from "../../postgres/sqlstate.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Ending } from "../outcome.ts";
import { asLast } from "./ending.ts";
import { fateOf } from "./fate.ts";
import { chainEndsOf, halvesOf, plainOf, toRequest, type Failure, type Part } from "./part.ts";
import { Quarantine } from "./quarantine.ts";
import { rowKept } from "./row-kept.ts";
import { Search } from "./search.ts";

/** Whom a writer tells what became of the endings it was given. */
export interface ReleaseListener {
  /** The claim has ended as it should; with the new `run_at` in microseconds when the job stays. */
  released(ending: Ending, runAt: string | undefined): void;
  /** The job belongs to somebody else, or is gone: its outcome was not written. */
  refused(ending: Ending): void;
  /**
   * It was sent, its answer was lost, and others have had the job since: nobody
   * knows whether it counted.
   */
  unknown(ending: Ending): void;
  /**
   * The chains of these queues have ended. They are unlocked now, or somebody
   * else's; when a claim in the same statement `hasClaimed`, it has looked at them.
   */
  freed(queueIds: readonly number[], hasClaimed: boolean): void;
  /** Nothing can be written, for the first time in a row. It is tried again, unless the failure is `final`. */
  failed(error: unknown, final: boolean): void;
  /**
   * This ending cannot be written although others can. Told once; it is tried
   * again beside the others, unless there are too many of them: then it
   * `isGivenUp`, and its job stays locked until recovery gives it back.
   */
  stuck(ending: Ending, error: unknown, isGivenUp: boolean): void;
}

/** What a writer needs. */
export interface ReleaseWriterOptions {
  readonly release: Release;
  readonly clock: Clock;
  readonly listener: ReleaseListener;
  /** Aborted when nothing is to be tried again any more. */
  readonly giveUp: AbortSignal;
  /** Takes over work that must not hold up the others, on so many endings; default 1. */
  aside(work: Promise<void>, count?: number): void;
}

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

/** What an error says about the statement. */
type Kind = "refused" | "transient" | "unanswered";

/** How often in a row a statement fails in each way before its rows are suspected. */
type Patience = Readonly<Record<Kind, number>>;

/** Once more on another connection when it was refused; in vain three times when that may pass by itself. */
const WHOLE: Patience = { refused: 2, transient: 3, unanswered: 3 };

/** A part of what failed as a whole. Only a connection may be lost for reasons of its own. */
const HALF: Patience = { refused: 1, transient: 1, unanswered: 2 };

/**
 * Writes endings until they are written, by the first of these that helps:
 *
 *   strategy        sends                              when it fails goes on with
 *   batch           all endings with one statement     skip locked, when a row is locked;
 *                                                      else the batch again (WHOLE), then bisect
 *   skip locked     those that nobody holds; what is   as the batch
 *                   held comes back as a batch, aside
 *   bisect          the halves of it, in order, and    at a single ending, without its texts;
 *                   theirs (HALF)                      then with the quarantine
 *   quarantine      one part a second, beside all      the next part
 *                   others
 *
 * The fence makes it safe to send the same again. A bisection that finds nothing
 * but failure blames no rows: until something is written again, all endings go
 * through the quarantine.
 */
export class ReleaseWriter {
  readonly #options: ReleaseWriterOptions;
  readonly #quarantine: Quarantine;
  /** How many statements have written something. */
  #successes = 0;
  /** {@link #successes} when a search found that nothing can be written. */
  #barredAt = -1;

  constructor(options: ReleaseWriterOptions) {
    const { clock, giveUp, listener } = options;
    this.#options = options;
    this.#quarantine = new Quarantine({
      clock,
      giveUp,
      attempt: (part) => this.#try(part),
      search: (part) => this.#divide({ part, error: undefined }, this.#searchKnowing(true), this.#successes - 1),
      successes: () => this.#successes,
      stuck: (ending, error, isGivenUp) => listener.stuck(ending, error, isGivenUp),
    });
  }

  /** Endings that could not be written and are tried beside the others. */
  get quarantine(): Pick<Quarantine, "size" | "stuck" | "settled"> {
    return this.#quarantine;
  }

  /** Writes endings of one claimant. Resolves when they do not hold up others any longer; never rejects. */
  async write(endings: readonly Ending[]): Promise<void> {
    const part: Part = { endings, attempt: "first" };
    if (this.#barredAt === this.#successes) this.#quarantine.arrive(part);
    else await this.#write(part);
  }

  /** Unlocks queues once their last jobs have been released. Never rejects. */
  async endChains(workerId: string, chainEnds: readonly ChainEnd[], tries = 1): Promise<void> {
    const { clock, giveUp, aside } = this.#options;
    const claimTimes = [...new Set(chainEnds.map((end) => end.claimedAt))];
    const answer = await this.#persist({ ...empty(workerId), claimTimes, chainEnds });
    if (!answer) return;
    const open = chainEnds.filter((end) => answer.unreleased.has(end.lastJobId));
    this.#freed(chainEnds.filter((end) => !open.includes(end)).map((end) => end.queueId));
    if (open.length === 0) return;
    const rest = clock.sleep(backoffMs(BACKOFF, tries), giveUp);
    aside(rest.then(() => (giveUp.aborted ? undefined : this.endChains(workerId, open, tries + 1))));
  }

  async #write(part: Part): Promise<void> {
    const since = this.#successes;
    const failure = await this.#insist(part, WHOLE);
    if (!failure) return;
    const search = this.#searchKnowing(false);
    await this.#divide(failure, search, since);
    if (!search.isVain) return;
    if (this.#barredAt !== this.#successes) this.#options.listener.failed(failure.error, false);
    this.#barredAt = this.#successes;
  }

  /** Sends a part until it is written or its rows are to be suspected. */
  async #insist(given: Part, patience: Patience): Promise<Failure | undefined> {
    let part = given;
    let isAnswering = true;
    for (let failures = 1; ; failures++) {
      const failure = await this.#try(part);
      if (!failure || failure.isKept) return failure;
      const kind = kindOf(failure.error);
      if (failures >= patience[kind] && isAnswering) return failure;
      if (failures === 1 && kind !== "refused") this.#options.listener.failed(failure.error, false);
      part = failure.part;
      isAnswering = kind === "refused" || (await this.#rest(part, failures, failures + 1 >= patience[kind]));
    }
  }

  /** Waits before the next try, until the database answers if `asks`. Returns whether it has answered. */
  async #rest({ endings }: Part, failures: number, asks: boolean): Promise<boolean> {
    const { clock, giveUp, release } = this.#options;
    for (let rests = failures; !giveUp.aborted; rests++) {
      await clock.sleep(backoffMs(BACKOFF, rests), giveUp);
      if (!asks) return false;
      if (giveUp.aborted) break;
      try {
        await release(empty(endings[0]?.job.lockedBy ?? ""));
        return true;
      } catch {
        // Not the rows, then: the server is away.
      }
    }
    return false;
  }

  #searchKnowing(hasWritten: boolean): Search {
    return new Search(this.#options.clock, hasWritten);
  }

  /** Some of the rows or values are at fault, or none. */
  async #divide(failure: Failure, search: Search, since: number): Promise<void> {
    if (failure.isKept) return this.#quarantine.suspect(failure, since);
    if (failure.part.endings.length === 1) return this.#isolate(failure, search, since);
    for (const half of halvesOf(failure.part)) {
      const halfFailure = search.isOver ? { part: half, error: failure.error } : await this.#insist(half, HALF);
      if (!halfFailure) {
        search.wrote();
        continue;
      }
      search.failed(halfFailure.error);
      if (search.isOver) this.#quarantine.suspect(halfFailure, since);
      else await this.#divide(halfFailure, search, since);
    }
  }

  /** Its texts may be what cannot be stored; else it is a trigger or constraint, which somebody may mend. */
  async #isolate(failure: Failure, search: Search, since: number): Promise<void> {
    const plain = plainOf(failure);
    const again = plain ? await this.#try(plain) : failure;
    if (!again) return search.wrote();
    search.isolated();
    this.#quarantine.suspect({ ...again, part: { ...failure.part, attempt: again.part.attempt } }, since, true);
  }

  /** Sends a part once, and around what is locked. Resolves with what was not written. */
  async #try(part: Part): Promise<Failure | undefined> {
    const failure = await this.#send(part, toRequest(part, "waiting"));
    if (!failure || failure.isKept || !isLocked(failure.error)) return failure;
    const around = await this.#skipLocked(failure.part);
    return around && { ...around, statements: 2 };
  }

  /** Somebody holds one of the rows: writes the others, and those that are held as a batch once they may be free. */
  async #skipLocked(part: Part): Promise<Failure | undefined> {
    const { clock, giveUp, aside } = this.#options;
    const busy: Ending[] = [];
    const failure = await this.#send(part, toRequest(part, "skipping locked"), busy);
    if (failure && !failure.isKept) return failure;
    if (giveUp.aborted) return failure;
    // Together: one claim of somebody else can hold hundreds of them for a moment.
    if (busy.length > 0) {
      const later = clock.sleep(BACKOFF.firstMs, giveUp).then(() => this.#write({ ...part, endings: busy }));
      aside(later, busy.length);
    }
    const left = new Set([...busy, ...(failure?.part.endings ?? [])]);
    const open = chainEndsOf(part.endings.filter((ending) => !left.has(ending)));
    const workerId = part.endings[0]?.job.lockedBy;
    if (workerId !== undefined && open.length > 0) aside(this.endChains(workerId, open));
    return failure;
  }

  /**
   * Sends one statement and tells what became of the endings. Resolves with those
   * that were not written, but for what it was to step over, which goes to `busy`.
   */
  async #send(part: Part, request: ReleaseRequest, busy?: Ending[]): Promise<Failure | undefined> {
    const { release, giveUp } = this.#options;
    if (giveUp.aborted) return undefined;
    let answer: ReleaseAnswer;
    try {
      answer = await release(request);
    } catch (error) {
      const attempt = part.attempt === "repeat" || isUnknownOutcome(error) ? "repeat" : "again";
      return { part: { ...part, attempt }, error };
    }
    return this.#settle(part, answer, busy);
  }

  /** Tells what became of each ending, and of the queues whose chains have ended with them unless it stepped over some. */
  #settle(part: Part, answer: ReleaseAnswer, busy: Ending[] | undefined): Failure | undefined {
    const { listener } = this.#options;
    const { runAts, hasClaimed = false } = answer;
    const freed: number[] = [];
    const kept: Ending[] = [];
    let hasWritten = false;
    for (const ending of part.endings) {
      const { job } = ending;
      const fate = fateOf(ending, answer, part.attempt);
      switch (fate.kind) {
        case "busy":
          (busy ?? kept).push(ending);
          continue;
        case "kept":
          kept.push(ending);
          continue;
        case "refused":
          listener.refused(ending);
          break;
        case "unknown":
          listener.unknown(ending);
          break;
        default: {
          hasWritten = true;
          const runAt = runAts.size === 0 ? undefined : runAts.get(job.id);
          listener.released(runAt === null ? asLast(fate.ending) : fate.ending, runAt ?? undefined);
        }
      }
      if (!busy && ending.endsChain && job.queueId !== null) freed.push(job.queueId);
    }
    if (hasWritten) this.#successes += 1;
    this.#freed(freed, hasClaimed);
    if (kept.length === 0) return undefined;
    return { part: { endings: kept, attempt: part.attempt }, error: rowKept(kept), isKept: true };
  }

  /** Repeats a statement until it is answered or there is no point any more. */
  async #persist(request: ReleaseRequest): Promise<ReleaseAnswer | undefined> {
    const { release, clock, giveUp, listener } = this.#options;
    for (let failures = 1; !giveUp.aborted; failures++) {
      try {
        return await release({ ...request, isApart: failures > 1 });
      } catch (error) {
        if (failures === 1) listener.failed(error, false);
        await clock.sleep(backoffMs(BACKOFF, failures), giveUp);
      }
    }
    return undefined;
  }

  #freed(queueIds: readonly number[], hasClaimed = false): void {
    if (queueIds.length > 0) this.#options.listener.freed(queueIds, hasClaimed);
  }
}

function kindOf(error: unknown): Kind {
  if (!isRefused(error)) return "unanswered";
  return isTransient(error) ? "transient" : "refused";
}

/** A release of nothing: it is answered whenever the database can be asked at all. */
function empty(workerId: string): ReleaseRequest {
  return { workerId, claimTimes: [], completed: [], changed: [], chainEnds: [], patient: true, isApart: true };
}
