import { setMaxListeners } from "node:events";
import { HowdahError } from "../../errors.ts";
import type { ReleaseAnswer } from "../../postgres/queries/ending/release.ts";
import type { ChainEnd, ReleaseRequest } from "../../postgres/queries/ending/release-request.ts";
import type { Statements } from "../../postgres/queries/statements.ts";
import { isLocked, isRefused, isTransient, isUnknownOutcome } from "../../postgres/sqlstate.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import type { BatchWriter } from "../../runtime/batcher.ts";
import type { Ending } from "../outcome.ts";
import type { WorkerContext } from "../worker-context.ts";
import { fateOf } from "./fate.ts";
import { asLast, chainEndsOf, toParts, toRequest, type Failure, type Part } from "./part.ts";
import { Quarantine, type QuarantineWriter, type StuckListener } from "./quarantine.ts";
import { Search } from "./search.ts";

/**
 * Writes endings until they are written, by the first of these that helps:
 *
 *   strategy        sends                              when it fails goes on with
 *   batch           all endings with one statement     skip locked, when a row is locked;
 *                                                      else the batch again (WHOLE), then search
 *   skip locked     those that no other transaction    as the batch
 *                   has locked; the others come back
 *                   as a batch, aside
 *   search          the halves of it, in order, and    at a single ending, without its texts;
 *                   theirs (HALF): `search.ts`         then with the quarantine
 *   quarantine      one part a second, beside all      the next part
 *                   others: `quarantine.ts`
 *
 * The fence makes it safe to send the same again. A search that finds nothing
 * but failure blames no rows: until something is written again, all endings go
 * through the quarantine.
 */
export class ReleaseWriter implements BatchWriter<Ending>, QuarantineWriter {
  readonly #context: Pick<WorkerContext, "clock">;
  readonly #parts: ReleaseWriterParts;
  readonly #quarantine: Quarantine;
  readonly #giveUp = new AbortController();
  /** Work beside the batches, on rows that other transactions have locked. */
  readonly #aside = new Set<Promise<void>>();
  #endingsAside = 0;
  #successes = 0;
  /** {@link #successes} when a search found that nothing can be written. */
  #barredAt = -1;

  constructor(context: Pick<WorkerContext, "clock">, parts: ReleaseWriterParts) {
    const giveUp = this.#giveUp.signal;
    // All that waits aside listens to it, however much that is.
    setMaxListeners(0, giveUp);
    this.#context = context;
    this.#parts = parts;
    this.#quarantine = new Quarantine(context, { writer: this, listener: parts.listener, giveUp });
  }

  /** How many statements have written something. */
  get successes(): number {
    return this.#successes;
  }

  /** How many endings are aside or in the quarantine. */
  get size(): number {
    return this.#endingsAside + this.#quarantine.entries.size;
  }

  /** How many endings cannot be written, although others can. */
  get stuck(): number {
    return this.#quarantine.entries.stuck;
  }

  /** Writes endings. Resolves when they do not hold up others any longer; never rejects. */
  async write(endings: readonly Ending[]): Promise<void> {
    for (const part of toParts(endings)) {
      if (this.#barredAt === this.#successes) this.#quarantine.arrive(part);
      else await this.#write(part);
    }
  }

  /** A batch was given up. */
  failed(error: unknown): void {
    this.#parts.listener.failed(error, true);
  }

  /** Unlocks queues once their last jobs have been released, and `after` that. */
  endChains(workerId: string, chainEnds: readonly ChainEnd[], after: Promise<void>): void {
    this.#follow(after.then(() => this.#endChains(workerId, chainEnds, 1)));
  }

  /** Resolves when nothing is aside, and all in the quarantine is known to be stuck or given up. */
  async settled(): Promise<void> {
    do {
      await Promise.all(this.#aside);
      await this.#quarantine.settled();
    } while (this.#aside.size > 0);
  }

  /** Tries nothing again any more. */
  abandon(): void {
    this.#giveUp.abort();
  }

  /** Sends a part once, and around what is locked. Resolves to what was not written. */
  async attempt(part: Part): Promise<Failure | undefined> {
    const failure = await this.#send(part, toRequest(part, "waiting"));
    if (!failure || failure.isKept || !isLocked(failure.error)) return failure;
    const around = await this.#skipLocked(failure.part);
    return around && { ...around, statements: 2 };
  }

  async search(part: Part): Promise<void> {
    const search = new Search({ part, error: undefined }, { hasWritten: true, now: this.#context.clock.monotonic() });
    await this.#carryOut(search, this.#successes - 1);
  }

  async #write(part: Part): Promise<void> {
    const since = this.#successes;
    const failure = await this.#insist(part, WHOLE);
    if (!failure) return;
    const search = new Search(failure, { hasWritten: false, now: this.#context.clock.monotonic() });
    await this.#carryOut(search, since);
    if (!search.isVain) return;
    if (this.#barredAt !== this.#successes) this.#parts.listener.failed(failure.error, false);
    this.#barredAt = this.#successes;
  }

  async #carryOut(search: Search, since: number): Promise<void> {
    const { clock } = this.#context;
    for (let move = search.next(clock.monotonic()); move; move = search.next(clock.monotonic())) {
      if (move.kind === "suspect") this.#quarantine.suspect(move.failure, since, move.isPlain);
      else search.learn(move, await (move.whole ? this.attempt(move.part) : this.#insist(move.part, HALF)));
    }
  }

  /** Sends a part until it is written or its rows are to be suspected. */
  async #insist(given: Part, patience: Patience): Promise<Failure | undefined> {
    let part = given;
    let isAnswering = true;
    for (let failures = 1; ; failures++) {
      const failure = await this.attempt(part);
      if (!failure || failure.isKept) return failure;
      const kind = kindOf(failure.error);
      if (failures >= patience[kind] && isAnswering) return failure;
      if (failures === 1 && kind !== "refused") this.#parts.listener.failed(failure.error, false);
      part = failure.part;
      isAnswering = kind === "refused" || (await this.#rest(part, failures, failures + 1 >= patience[kind]));
    }
  }

  /** Waits before the next try, until the database answers if `asks`. Returns whether it has answered. */
  async #rest({ endings }: Part, failures: number, asks: boolean): Promise<boolean> {
    const giveUp = this.#giveUp.signal;
    for (let rests = failures; !giveUp.aborted; rests++) {
      await this.#context.clock.sleep(backoffMs(BACKOFF, rests), giveUp);
      if (!asks) return false;
      if (giveUp.aborted) break;
      try {
        await this.#parts.statements.release(empty(endings[0]?.job.lockedBy ?? ""));
        return true;
      } catch {
        // Not the rows, then: the server is away.
      }
    }
    return false;
  }

  /** Writes what no other transaction has locked, and the rest as a batch once it may be free. */
  async #skipLocked(part: Part): Promise<Failure | undefined> {
    const giveUp = this.#giveUp.signal;
    const busy: Ending[] = [];
    const failure = await this.#send(part, toRequest(part, "skipping locked"), busy);
    if (failure && failure.part.endings.length === part.endings.length) return failure;
    if (giveUp.aborted) return failure;
    // Together: one claim of another worker can lock hundreds of them for a moment.
    if (busy.length > 0) {
      const rest = this.#context.clock.sleep(BACKOFF.firstMs, giveUp);
      this.#follow(
        rest.then(() => this.#write({ ...part, endings: busy })),
        busy.length,
      );
    }
    const left = new Set([...busy, ...(failure?.part.endings ?? [])]);
    const open = chainEndsOf(part.endings.filter((ending) => !left.has(ending)));
    const workerId = part.endings[0]?.job.lockedBy;
    if (workerId !== undefined && open.length > 0) this.#follow(this.#endChains(workerId, open, 1));
    return failure;
  }

  /**
   * Sends one statement and tells what became of the endings. Resolves to those
   * that were not written, but for what it was to step over, which goes to `busy`.
   */
  async #send(part: Part, request: ReleaseRequest, busy?: Ending[]): Promise<Failure | undefined> {
    if (this.#giveUp.signal.aborted) return undefined;
    let answer: ReleaseAnswer;
    try {
      answer = await this.#parts.statements.release(request);
    } catch (error) {
      const attempt = part.attempt === "repeat" || isUnknownOutcome(error) ? "repeat" : "again";
      return { part: { ...part, attempt }, error };
    }
    const awaited: Ending[] = [];
    const failure = this.#settle(part, answer, { busy, awaited });
    if (awaited.length === 0) return failure;
    const asked = { ...part, endings: awaited };
    return joined(failure, await this.#send(asked, toRequest(asked, busy ? "skipping locked" : "waiting"), busy));
  }

  /**
   * Tells what became of each ending, and of the queues whose chains have ended with them unless it stepped over some.
   * Those that have come to be awaited go to `awaited`: they are to be sent again, with their results.
   */
  #settle(part: Part, answer: ReleaseAnswer, { busy, awaited }: Unsettled): Failure | undefined {
    const { listener } = this.#parts;
    const freed: number[] = [];
    const freedLanes: number[] = [];
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
        case "awaited":
          job.becameAwaited();
          awaited.push(ending);
          continue;
        case "refused":
          listener.refused(ending);
          break;
        case "unknown":
          listener.unknown(ending);
          break;
        default: {
          hasWritten = true;
          const runAt = answer.runAts.size === 0 ? undefined : answer.runAts.get(job.id);
          listener.released(runAt === null ? asLast(fate.ending) : fate.ending, runAt ?? undefined);
        }
      }
      if (busy || !ending.endsChain || job.queueId === null) continue;
      if (job.lane === null) freed.push(job.queueId);
      else freedLanes.push(...job.lanes.map(({ ownerId }) => ownerId));
    }
    if (hasWritten) this.#successes += 1;
    if (freed.length > 0) listener.freed(freed, answer.hasClaimed === true);
    if (freedLanes.length > 0) listener.lanesFreed(freedLanes, answer.hasClaimed === true);
    return kept.length === 0 ? undefined : keptOf(kept, part);
  }

  /** Never rejects. */
  async #endChains(workerId: string, chainEnds: readonly ChainEnd[], tries: number): Promise<void> {
    const giveUp = this.#giveUp.signal;
    const claimTimes = [...new Set(chainEnds.map((end) => end.claimedAt))];
    const answer = await this.#persist({ ...empty(workerId), claimTimes, chainEnds });
    if (!answer) return;
    const open = chainEnds.filter((end) => answer.unreleased.has(end.lastJobId));
    const ended = chainEnds.filter((end) => !open.includes(end));
    const freed = ended.flatMap(({ queueId, lane }) => (lane == null ? [queueId] : []));
    const freedLanes = ended.flatMap(({ queueId, lane }) => (lane == null ? [] : [queueId]));
    if (freed.length > 0) this.#parts.listener.freed(freed, false);
    if (freedLanes.length > 0) this.#parts.listener.lanesFreed(freedLanes, false);
    if (open.length === 0) return;
    const rest = this.#context.clock.sleep(backoffMs(BACKOFF, tries), giveUp);
    this.#follow(rest.then(() => (giveUp.aborted ? undefined : this.#endChains(workerId, open, tries + 1))));
  }

  /** Repeats a statement until it is answered or there is no point any more. */
  async #persist(request: ReleaseRequest): Promise<ReleaseAnswer | undefined> {
    const { statements, listener } = this.#parts;
    const giveUp = this.#giveUp.signal;
    for (let failures = 1; !giveUp.aborted; failures++) {
      try {
        return await statements.release({ ...request, isApart: failures > 1 });
      } catch (error) {
        if (failures === 1) listener.failed(error, false);
        await this.#context.clock.sleep(backoffMs(BACKOFF, failures), giveUp);
      }
    }
    return undefined;
  }

  /** Work that must not hold up others, on this number of endings. */
  #follow(work: Promise<void>, count = 1): void {
    this.#endingsAside += count;
    const followed = work.finally(() => {
      this.#endingsAside -= count;
      this.#aside.delete(followed);
    });
    this.#aside.add(followed);
  }
}

/** Where endings go of which an answer has not decided. */
interface Unsettled {
  /** Those whose rows are locked by others, when these are stepped over. */
  readonly busy: Ending[] | undefined;
  /** Those that are to be sent with their results. */
  readonly awaited: Ending[];
}

/** What a writer sends statements with, and whom it tells. */
export interface ReleaseWriterParts {
  readonly statements: Pick<Statements, "release">;
  readonly listener: ReleaseListener;
}

/** Hears what becomes of the endings that a writer was given. */
export interface ReleaseListener extends StuckListener {
  /** The claim has ended as it should; with the new `run_at` in microseconds when the job stays. */
  released(ending: Ending, runAt: string | undefined): void;
  /** Another worker has the job, or it is gone: its outcome was not written. */
  refused(ending: Ending): void;
  /** It was sent, its answer was lost, and others have had the job since: whether it counted is not known. */
  unknown(ending: Ending): void;
  /**
   * The chains of these queues have ended. They are unlocked now, or locked by
   * others; when a claim in the same statement `hasClaimed`, it has looked at them.
   */
  freed(queueIds: readonly number[], hasClaimed: boolean): void;
  /** The same of lanes: of these queues and, with minus their ids, of pools. */
  lanesFreed(ownerIds: readonly number[], hasClaimed: boolean): void;
  /** Nothing can be written, for the first time in a row. It is tried again, unless the failure is `final`. */
  failed(error: unknown, final: boolean): void;
}

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

/** What an error says about the statement. */
type Kind = "refused" | "transient" | "unanswered";

/** How often in a row a statement fails in each way before its rows are suspected. */
type Patience = Readonly<Record<Kind, number>>;

/** Once more on another connection when it was refused; up to three times when that may pass. */
const WHOLE: Patience = { refused: 2, transient: 3, unanswered: 3 };

/** A part of what failed as a whole. Only a connection may be lost for reasons of its own. */
const HALF: Patience = { refused: 1, transient: 1, unanswered: 2 };

function kindOf(error: unknown): Kind {
  if (!isRefused(error)) return "unanswered";
  return isTransient(error) ? "transient" : "refused";
}

/** A release of nothing: it is answered whenever the database can be asked at all. */
function empty(workerId: string): ReleaseRequest {
  return { workerId, claimTimes: [], completed: [], changed: [], chainEnds: [], patient: true, isApart: true };
}

/** What was not written by one statement or another; the rest of a part is sent when the first one was carried out. */
function joined(first: Failure | undefined, second: Failure | undefined): Failure | undefined {
  if (!first || !second) return first ?? second;
  return { ...second, part: { ...second.part, endings: [...first.part.endings, ...second.part.endings] } };
}

/** The failure of rows that were written to without an error and stayed as they were. */
function keptOf(endings: readonly Ending[], { attempt }: Part): Failure {
  const ids = endings.map(({ job }) => job.id).join(", ");
  const error = new HowdahError(
    "HOWDAH_OUTCOME_KEPT_OUT",
    `The outcome of job ${ids} was written without an error, and its row is as it was. ` +
      "A trigger that returns null, a rule or a row-security policy on the jobs table keeps it; it is tried again.",
  );
  return { part: { endings, attempt }, error, isKept: true };
}
