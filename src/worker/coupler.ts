import type { ClaimCoupler } from "../job/claim/claimer.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { Claim, ClaimAnswer, ClaimRequest } from "../postgres/queries/claim.ts";
import { isOnlyCompletions, type ReleaseAndClaim } from "../postgres/queries/ending/release-and-claim.ts";
import type { Release, ReleaseAnswer, ReleaseRequest } from "../postgres/queries/ending/release.ts";
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
  readonly #releaseAndClaim: ReleaseAndClaim;
  readonly #engine: CoupledEngine;
  /** One function for all turns. */
  readonly #endTurn = (): void => {
    if (this.#claimsUnderWay === 0) this.#sendAlone();
  };
  readonly #endWait = (): void => this.#sendAlone();
  #waiting: Waiting | undefined;
  #timer: Timer | undefined;
  #claimsUnderWay = 0;

  constructor(context: CouplerContext, releaseAndClaim: ReleaseAndClaim, engine: CoupledEngine) {
    this.#context = context;
    this.#releaseAndClaim = releaseAndClaim;
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
    const waiting = this.#take();
    this.#claimsUnderWay += 1;
    try {
      return await (waiting ? this.#sendBoth(waiting, request) : this.#context.statements.claim(request));
    } finally {
      this.#claimsUnderWay -= 1;
      if (this.#waiting) setImmediate(this.#endTurn);
    }
  };

  async #sendBoth({ request, resolve, reject }: Waiting, claim: ClaimRequest): Promise<ClaimAnswer> {
    try {
      const { released, claimed } = await this.#releaseAndClaim(request, claim);
      resolve(released);
      // The tick after all that follows from it: a job starts when the one before it in its queue has ended for all.
      await new Promise<void>((next) => process.nextTick(next));
      return claimed;
    } catch (error) {
      reject(error);
      // Neither has happened. One of the completed jobs may be in the way, which is for its release to deal with.
      if (isRefused(error)) return this.#context.statements.claim(claim);
      throw error;
    }
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
  readonly statements: Pick<WorkerContext["statements"], "claim" | "release">;
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

/** A release waits no longer than this for the claim under way. */
const MAX_WAIT_MS = 10;
