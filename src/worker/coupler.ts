import type { ClaimCoupler } from "../job/claim/claimer.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { Claim } from "../postgres/queries/claim.ts";
import type { NamedClaimAnswer } from "../postgres/queries/claim-named.ts";
import type { ContinueRequest } from "../postgres/queries/ending/release-and-continue.ts";
import { ALL_RELEASED, type Release, type ReleaseAnswer } from "../postgres/queries/ending/release.ts";
import { isOnlyCompletions } from "../postgres/queries/ending/release-completed.ts";
import type { ReleaseRequest } from "../postgres/queries/ending/release-request.ts";
import { isRefused } from "../postgres/sqlstate.ts";
import type { Timer } from "../runtime/clock.ts";

/**
 * Sends a release and the claim that follows from it as one statement: half the
 * round trips and commits for a worker that claims for free slots only.
 *
 *   none      completed jobs are released      -> waiting
 *   waiting   a claim is sent                  -> none     both in one statement
 *             the turn of the event loop ends,
 *             and no claim is under way        -> none     the release alone
 *             MAX_WAIT_MS have passed          -> none     the release alone
 *
 * Every other release is sent at once, and a claim never waits.
 */
export class Coupler implements ClaimCoupler {
  readonly #context: CouplerContext;
  readonly #engine: CoupledEngine;
  /** One function for all turns. */
  readonly #endTurn = (): void => {
    if (this.#claimsUnderWay === 0) this.#sendAlone();
  };
  readonly #endWait = (): void => this.#sendAlone();
  #waiting: Waiting | undefined;
  #timer: Timer | undefined;
  #claimsUnderWay = 0;

  constructor(context: CouplerContext, engine: CoupledEngine) {
    this.#context = context;
    this.#engine = engine;
  }

  /** The queues that the next claim will see free, if it is sent now. */
  get queuesFreed(): readonly number[] {
    return this.#waiting?.request.chainEnds.map(({ queueId }) => queueId) ?? [];
  }

  /** As {@link Release}. */
  readonly release: Release = (request) => {
    const { statements, clock } = this.#context;
    if (this.#waiting || !isOnlyCompletions(request)) return statements.release(request);
    return new Promise((resolve, reject) => {
      this.#waiting = { request, resolve, reject };
      if (this.#claimsUnderWay === 0) setImmediate(this.#endTurn);
      else this.#timer = clock.setTimer(MAX_WAIT_MS, this.#endWait);
      if (request.chainEnds.length > 0) this.#engine.freeing();
    });
  };

  /** As {@link Claim}. When it resolves, the release that went with it has been told to all. */
  readonly claim: Claim = async (request) => {
    const { claim, releaseAndClaim } = this.#context.statements;
    const waiting = releaseAndClaim && this.#take();
    this.#claimsUnderWay += 1;
    try {
      if (!waiting) return await claim(request);
      return (await settle(waiting, releaseAndClaim(waiting.request, request))) ?? (await claim(request));
    } finally {
      this.#claimEnded();
    }
  };

  /** Ends the chains of the release that waits, and goes on in their queues; see `ClaimCoupler`. */
  async continue(request: ContinueRequest): Promise<NamedClaimAnswer> {
    const { releaseAndContinue } = this.#context.statements;
    // The queues stay locked by the id under which their jobs were claimed, which the worker may have changed since.
    const isSameWorker = this.#waiting?.request.workerId === request.workerId;
    const waiting = isSameWorker ? this.#take() : undefined;
    if (!releaseAndContinue || !waiting) return NOTHING_CLAIMED;
    this.#claimsUnderWay += 1;
    try {
      return (await settle(waiting, releaseAndContinue(waiting.request, request))) ?? NOTHING_CLAIMED;
    } finally {
      this.#claimEnded();
    }
  }

  #claimEnded(): void {
    this.#claimsUnderWay -= 1;
    if (this.#waiting) setImmediate(this.#endTurn);
  }

  #take(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    return waiting;
  }

  #sendAlone(): void {
    const waiting = this.#take();
    if (waiting) this.#context.statements.release(waiting.request).then(waiting.resolve, waiting.reject);
  }
}

type CouplerContext = Pick<WorkerContext, "clock"> & {
  readonly statements: Pick<
    WorkerContext["statements"],
    "claim" | "release" | "releaseAndClaim" | "releaseAndContinue"
  >;
};

/** The engine whose statements are coupled. */
export interface CoupledEngine {
  /** Queues are about to be freed: the next claim will see them so. */
  freeing(): void;
}

interface Waiting {
  readonly request: ReleaseRequest;
  resolve(answer: ReleaseAnswer): void;
  reject(error: unknown): void;
}

const RELEASED_BEFORE_CLAIM: ReleaseAnswer = { ...ALL_RELEASED, hasClaimed: true };

/** Tells the release how it went. Resolves to the answer of the claim; to `undefined` when neither has happened. */
async function settle<Answer>({ resolve, reject }: Waiting, sent: Promise<Answer>): Promise<Answer | undefined> {
  try {
    const claimed = await sent;
    resolve(RELEASED_BEFORE_CLAIM);
    // The tick after all that follows from it: a job starts when the one before it in its queue has ended for all.
    await new Promise<void>((next) => process.nextTick(next));
    return claimed;
  } catch (error) {
    reject(error);
    // One of the completed jobs may be in the way, or lost, which its release finds out.
    if (isRefused(error)) return undefined;
    throw error;
  }
}

const NOTHING_CLAIMED: NamedClaimAnswer = { jobs: [], claimedAt: "0" };

/** A release waits no longer than this for the claim under way. */
const MAX_WAIT_MS = 10;
