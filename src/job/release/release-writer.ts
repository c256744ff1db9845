import type { ChainEnd, JobChange, Release, ReleaseAnswer } from "../../postgres/queries/release.ts";
import { isDataError, isLocked, isUnknownOutcome } from "../../postgres/sqlstate.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import type { Clock } from "../../runtime/clock.ts";
import { asCommitted, asLast, toChainEnds, toChange, withoutTexts, type Ending } from "./ending.ts";

/** Whom a writer tells what became of the endings it was given. */
export interface ReleaseListener {
  /** The claim has ended as it should; with the new `run_at` in microseconds when the job stays. */
  released(ending: Ending, runAt: string | undefined): void;
  /** The job belongs to somebody else, or is gone: its outcome was not written. */
  refused(ending: Ending): void;
  /**
   * The chains of these queues have ended. They are unlocked now, or somebody
   * else's; when a claim in the same statement `hasClaimed`, it has looked at them.
   */
  freed(queueIds: readonly number[], hasClaimed: boolean): void;
  /** A statement failed, for the first time in a row. It is sent again, unless the failure is `final`. */
  failed(error: unknown, final: boolean): void;
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

/**
 * Writes endings until they are written. A statement whose answer was lost is
 * sent again, which the fence makes safe; one that meets a row locked by
 * somebody's transaction goes around it; one that holds a value PostgreSQL
 * cannot store is split until that value stands alone.
 */
export class ReleaseWriter {
  readonly #options: ReleaseWriterOptions;

  constructor(options: ReleaseWriterOptions) {
    this.#options = options;
  }

  /** Writes endings of one worker id. Never rejects. */
  async write(endings: readonly Ending[]): Promise<void> {
    await this.#write(endings, NOT_SENT);
  }

  async #write(endings: readonly Ending[], before: Readonly<History>): Promise<void> {
    const answer = await this.#send(endings, { ...before });
    if (answer) this.#freed(this.#settle(endings, answer), answer.hasClaimed);
  }

  /** Unlocks queues once their last jobs have been released. Never rejects. */
  async endChains(workerId: string, chainEnds: readonly ChainEnd[]): Promise<void> {
    const { release, clock, giveUp, aside } = this.#options;
    const claimTimes = distinct(chainEnds.map((end) => end.claimedAt));
    const answer = await this.#persist(() =>
      release({ workerId, claimTimes, completed: [], changed: [], chainEnds, patient: true }),
    );
    if (!answer) return;
    const open = chainEnds.filter((end) => answer.unreleased.has(end.lastJobId));
    this.#freed(chainEnds.filter((end) => !open.includes(end)).map((end) => end.queueId));
    if (open.length > 0) aside(clock.sleep(BACKOFF.firstMs, giveUp).then(() => this.endChains(workerId, open)));
  }

  /** Sends one statement for all endings, as often as it takes; or hands them on to another way of writing. */
  async #send(endings: readonly Ending[], history: History): Promise<Sent | undefined> {
    const { release } = this.#options;
    const request = { ...toRequest(endings), chainEnds: chainEndsOf(endings), patient: true };
    const send = (): Promise<ReleaseAnswer> => release({ ...request, isApart: history.isApart });
    try {
      return await this.#persist(send, history, isForAnotherWay);
    } catch (error) {
      if (isDataError(error)) await this.#writeApart(endings, history);
      else await this.#writeAround(endings, history);
      return undefined;
    }
  }

  /** Repeats a statement until it is answered or there is no point any more. Rejects only with what `passOn` picks. */
  async #persist(
    send: () => Promise<ReleaseAnswer>,
    history: History = { ...NOT_SENT },
    passOn: (error: unknown) => boolean = () => false,
  ): Promise<Sent | undefined> {
    const { clock, giveUp, listener } = this.#options;
    for (let failures = 1; !giveUp.aborted; failures++) {
      try {
        return { ...(await send()), ...history };
      } catch (error) {
        history.isApart = true;
        if (passOn(error)) throw error;
        if (failures === 1) listener.failed(error, false);
        history.repeated ||= isUnknownOutcome(error);
        await clock.sleep(backoffMs(BACKOFF, failures), giveUp);
      }
    }
    return undefined;
  }

  /** Somebody holds one of the rows: writes the others, and those that were busy aside, until they are free. */
  async #writeAround(endings: readonly Ending[], history: History): Promise<void> {
    const { release, clock, giveUp, aside } = this.#options;
    const request = { ...toRequest(endings), chainEnds: [], patient: false };
    let answer: Sent | undefined;
    try {
      answer = await this.#persist(() => release(request), history, isDataError);
    } catch {
      return this.#writeApart(endings, history);
    }
    if (!answer) return;
    const busy = endings.filter(({ job }) => answer.unreleased.get(job.id) === "busy");
    const done = endings.filter((ending) => !busy.includes(ending));
    // Their queues are still locked: a queue is unlocked apart, so that only that is tried again.
    this.#settle(done, answer);
    // Together: one claim of somebody else can hold hundreds of them for a moment.
    if (busy.length > 0)
      aside(
        clock.sleep(BACKOFF.firstMs, giveUp).then(() => this.#write(busy, history)),
        busy.length,
      );
    const busyIds = new Set(busy.map(({ job }) => job.id));
    const open = chainEndsOf(endings).filter((end) => !busyIds.has(end.lastJobId));
    const workerId = endings[0]?.job.lockedBy;
    if (workerId !== undefined && open.length > 0) aside(this.endChains(workerId, open));
  }

  /** One of the rows or values is at fault: halves the batch, in order, and drops the texts of the one at fault. */
  async #writeApart(endings: readonly Ending[], history: Readonly<History>): Promise<void> {
    const [only] = endings;
    if (!only) return;
    if (endings.length === 1) {
      const plain = withoutTexts(only);
      if (plain) await this.#write([plain], history);
      else this.#insist(only, history);
      return;
    }
    const middle = Math.ceil(endings.length / 2);
    await this.#write(endings.slice(0, middle), history);
    await this.#write(endings.slice(middle), history);
  }

  /** Not for its values, then: it is somebody's trigger or constraint, who may mend it. Tries on aside. */
  #insist(ending: Ending, history: Readonly<History>): void {
    const { release, aside } = this.#options;
    const request = { ...toRequest([ending]), chainEnds: chainEndsOf([ending]), patient: true, isApart: true };
    const writing = this.#persist(() => release(request), { ...history });
    aside(writing.then((answer) => answer && this.#freed(this.#settle([ending], answer))));
  }

  /** Tells what became of each ending. Returns the queues whose chains have ended with them. */
  #settle(endings: readonly Ending[], { unreleased, runAts, repeated }: Sent): number[] {
    const { listener } = this.#options;
    const freed: number[] = [];
    for (const given of endings) {
      const { job, outcome } = given;
      // Nearly always both are empty, and a look into them would still hash the id.
      const status = unreleased.size === 0 ? undefined : unreleased.get(job.id);
      // Gone with the transaction of its handler, of whose end only the row tells.
      const isCommitted = status === "gone" && outcome.kind === "undecided";
      const ending = isCommitted ? asCommitted(given, outcome) : given;
      // Sent again, a job that is no longer ours was written the first time.
      const isRepeat = repeated && (status === "gone" || toChange(given) !== null);
      const isWritten = status === undefined || isCommitted || isRepeat;
      const runAt = runAts.size === 0 ? undefined : runAts.get(job.id);
      if (isWritten) listener.released(runAt === null ? asLast(ending) : ending, runAt ?? undefined);
      else listener.refused(ending);
      if (ending.endsChain && job.queueId !== null) freed.push(job.queueId);
    }
    return freed;
  }

  #freed(queueIds: readonly number[], hasClaimed = false): void {
    if (queueIds.length > 0) this.#options.listener.freed(queueIds, hasClaimed);
  }
}

interface History {
  /** The same was sent before, and nobody knows whether it was carried out. */
  repeated: boolean;
  /** The same has failed before. */
  isApart: boolean;
}

type Sent = ReleaseAnswer & Readonly<History>;

const NOT_SENT: Readonly<History> = { repeated: false, isApart: false };

function isForAnotherWay(error: unknown): boolean {
  return isDataError(error) || isLocked(error);
}

function toRequest(endings: readonly Ending[]) {
  const completed: string[] = [];
  const changed: JobChange[] = [];
  const claimTimes = new Set<string>();
  let seen: string | undefined;
  for (const ending of endings) {
    const { job } = ending;
    // Most come from the claim of the one before, and a look at their times would make a list for each.
    if (job.claimedAt !== seen || job.isRenewed) for (const claimedAt of job.claimTimes) claimTimes.add(claimedAt);
    seen = job.claimedAt;
    const change = toChange(ending);
    if (change) changed.push(change);
    else completed.push(job.id);
  }
  const workerId = endings[0]?.job.lockedBy ?? "";
  return { workerId, claimTimes: [...claimTimes], completed, changed };
}

function chainEndsOf(endings: readonly Ending[]): ChainEnd[] {
  const chainEnds: ChainEnd[] = [];
  for (const { job, endsChain } of endings) {
    if (endsChain && job.queueId !== null) chainEnds.push(...toChainEnds(job, job.queueId));
  }
  return chainEnds;
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}
