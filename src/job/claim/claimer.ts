import type { NamedClaimAnswer } from "../../postgres/queries/claim-named.ts";
import type { Claim } from "../../postgres/queries/claim.ts";
import type { ContinueRequest } from "../../postgres/queries/ending/release-and-continue.ts";
import { isRefused, isUnknownOutcome } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";
import { toChains, type Chain, type Removal } from "../chain.ts";
import { ClaimedJob } from "../claimed-job.ts";
import type { WorkerContext, WorkerSettings } from "../worker-context.ts";
import { type ClaimFacts, reportedError } from "../worker-report.ts";
import { ClaimMemory } from "./claim-memory.ts";
import type { ByIdPlan, Claimant, ClaimPlan, ContinuePlan, ForbiddenFlags, SearchPlan, Wanted } from "./claim-plan.ts";
import type { Announcement } from "./notification.ts";
import { MOST_SKIPPED } from "./skipped-jobs.ts";
import type { RuledQueues } from "./ruled/ruled-queues.ts";
import type { UnstartedJobs } from "./source.ts";
import { TaskLimits } from "./task-limits.ts";

/**
 * Makes claims for one worker. What a claim has to look for is planned by a
 * {@link ClaimMemory}, which learns from the answer.
 */
export class Claimer {
  readonly #context: ClaimerContext;
  readonly #clock: Clock;
  readonly #parts: ClaimerParts;
  readonly #memory: ClaimMemory;
  /** How many jobs of some tasks it may hold; `undefined` when that is not limited. */
  readonly limits: TaskLimits | undefined;
  #forbiddenFlags: readonly string[] = [];
  #failing: FailingClaims | undefined;

  constructor(context: ClaimerContext, parts: ClaimerParts) {
    this.#context = context;
    this.#clock = context.clock;
    this.#parts = parts;
    const { pollIntervalMs, maxClaimBytes, forbiddenFlags, taskConcurrency, priorityAgingMs } = context.settings;
    this.limits = taskConcurrency && new TaskLimits(taskConcurrency, context.held);
    if (typeof forbiddenFlags !== "function") this.#forbiddenFlags = forbiddenFlags;
    const { claimNamed, releaseAndContinue } = context.statements;
    const continues = parts.coupler !== undefined && releaseAndContinue !== undefined;
    const settings = {
      pollIntervalMs,
      maxClaimBytes,
      claimsById: claimNamed !== undefined,
      continues,
      priorityAgingMs,
      random: context.random,
    };
    this.#memory = new ClaimMemory(settings, this.#clock.monotonic());
  }

  /** True when queues are known that a claim should look at. */
  get hasCandidates(): boolean {
    return this.#memory.hasCandidates;
  }

  /** True while a search through all queues has begun and has not come around. */
  get isMidScan(): boolean {
    return this.#memory.isMidScan;
  }

  /** When a claim is due again although nothing was announced. */
  get restMs(): number {
    return this.#memory.restMs(this.#clock.monotonic());
  }

  /** How long ago the head was scanned: the oldest a job can be that was added unannounced and not seen. */
  get headScanAgeMs(): number {
    return this.#clock.monotonic() - this.#memory.headScanAt;
  }

  /** What is wrong, when the last claim failed. */
  get failing(): FailingClaims | undefined {
    return this.#failing;
  }

  /** The flags of jobs that are not claimed, as they were with the last claim. */
  get forbiddenFlags(): readonly string[] {
    return this.#forbiddenFlags;
  }

  /** How claims do at this time of the monotonic clock. */
  health(now: number): ClaimFacts {
    const { since, error } = this.#failing ?? {};
    return {
      fullScanAgeMs: Math.round(now - this.#memory.headScanAt),
      nextFullScanMs: Math.round(this.#memory.headScanInMs(now)),
      nextQueueScanMs: Math.round(this.#memory.windowInMs(now)),
      failure: since === undefined ? null : { ms: Math.round(now - since), error: reportedError(error) },
    };
  }

  /** Work was announced: makes sure that the next claim sees it. */
  announce(announcement: Announcement): void {
    this.#memory.announce(announcement, this.#clock.monotonic());
  }

  /** These queues were free again when the claim in the same statement looked at them. */
  freed(queueIds: readonly number[]): void {
    this.#memory.freed(queueIds);
  }

  /** What is remembered of queues with rules; `undefined` until a claim has come across one. */
  get ruled(): RuledQueues | undefined {
    return this.#memory.ruled;
  }

  /** Whether a claim is to look at this queue. */
  isCandidate(queueId: number): boolean {
    return this.#memory.isCandidate(queueId);
  }

  /** A job has gone back, perhaps before others that have been seen. */
  wentBack(job: ClaimedJob): void {
    this.#memory.wentBack(job, this.#clock.monotonic());
  }

  /** Other tasks than before are claimed now: nothing that was seen counts any more. */
  forget(): void {
    this.#memory.forget(this.#clock.monotonic());
  }

  /** Announcements may have been missed: the next claim scans from the head and may look through all queues. */
  distrust(): void {
    this.#memory.distrust(this.#clock.monotonic());
  }

  /**
   * Locks up to `quantity` jobs. Rejects with the error of the database; the
   * next claim sees again what this one was to see.
   */
  async claim(wanted: Wanted): Promise<Claimed> {
    const startedAt = this.#clock.monotonic();
    await this.#askForbiddenFlags();
    // The ids may be others when the answer comes.
    const identifiers = this.#context.storedTasks.identifiersById;
    const limited = this.limits?.plan(wanted.quantity, identifiers);
    const claimant = {
      workerId: this.#context.identity.current,
      taskIds: [...identifiers.keys()],
      forbiddenFlags: this.#forbiddenFlags.length > 0 ? this.#forbiddenFlags : null,
      freeing: this.#parts.coupler?.queuesFreed ?? NO_IDS,
      restingTaskIds: limited?.restingTaskIds ?? NO_IDS,
      gathered: this.#gathered(identifiers),
    };
    const most = limited ? { ...wanted, quantity: limited.quantity } : wanted;
    const plan = this.#memory.plan(most, claimant, this.#clock.monotonic());
    const { chains, more: isMore, excess: tooLarge } = await this.#send(plan, identifiers);
    const excess = limited && this.limits ? [...tooLarge, ...this.limits.bound(limited, chains)] : tooLarge;
    const more = isMore || limited?.leavesMore === true;
    if (chains.length === 0) return { chains, more };
    const { unstarted } = this.#parts;
    for (const removal of excess) unstarted.giveBack(removal);
    const left = excess.length === 0 ? chains : chains.filter(({ waiting }) => waiting > 0);
    return { chains: unstarted.keep(left, this.#clock.monotonic() - startedAt), more: more || excess.length > 0 };
  }

  /** The tasks that gather jobs, by the ids that they have now. */
  #gathered(identifiers: TaskIdentifiers): Claimant["gathered"] {
    const { gatherSizes } = this.#context.settings;
    if (!gatherSizes) return undefined;
    const sizes = [...identifiers].flatMap(([id, task]) => {
      const size = gatherSizes.get(task);
      return size === undefined ? [] : [{ id, size }];
    });
    return { taskIds: sizes.map(({ id }) => id), sizes: sizes.map(({ size }) => size) };
  }

  async #send(plan: ClaimPlan, identifiers: TaskIdentifiers): Promise<Locked> {
    try {
      return await (plan.kind === "search" ? this.#search(plan, identifiers) : this.#claimKnown(plan, identifiers));
    } catch (error) {
      this.#memory.failed(plan);
      this.#claimFailed(plan, error);
      if (isUnknownOutcome(error)) this.#context.identity.distrust(plan.request.workerId);
      if (plan.kind === "search") await this.#findUnclaimable(plan, error);
      throw error;
    }
  }

  /** Locks the only jobs that there can be, as far as they are known. */
  async #claimKnown(plan: ByIdPlan | ContinuePlan, identifiers: TaskIdentifiers): Promise<Locked> {
    const jobs = toJobs(await this.#sendKnown(plan), plan, identifiers);
    const chains = toChains(jobs);
    const isById = plan.kind === "byId";
    const excess = isById ? this.#memory.learnById(plan, chains) : this.#memory.learnContinuation(plan, chains);
    this.#register(jobs, plan);
    return { chains, more: !isById && this.hasCandidates, excess };
  }

  #sendKnown(plan: ByIdPlan | ContinuePlan): Promise<NamedClaimAnswer> {
    const { claimNamed } = this.#context.statements;
    const { coupler } = this.#parts;
    if (plan.kind === "byId" && claimNamed) return claimNamed(plan.request);
    if (plan.kind === "continue" && coupler) return coupler.continue(plan.request);
    throw new TypeError("There is no statement for this claim.");
  }

  async #search(plan: SearchPlan, identifiers: TaskIdentifiers): Promise<Locked> {
    const { statements, storedTasks } = this.#context;
    const { coupler } = this.#parts;
    const answer = await (coupler ? coupler.claim(plan.request) : statements.claim(plan.request));
    const jobs = toJobs(answer, plan, identifiers);
    const chains = toChains(jobs);
    const excess = this.#memory.learnSearch(plan, { answer, chains }, this.#clock.monotonic());
    this.#register(jobs, plan);
    if (answer.tasksGone) storedTasks.refresh();
    const restMs = this.#memory.vainRestMs;
    if (restMs > 0) await this.#clock.sleep(restMs);
    // Others may be named than fitted into this claim.
    return { chains, more: answer.more || this.hasCandidates, excess };
  }

  /** These jobs belong to the worker now. */
  #register(jobs: readonly ClaimedJob[], { request, sentAt }: ClaimPlan): void {
    const { held, reporter } = this.#context;
    this.#failing = undefined;
    if (jobs.length > 0) held.claimed(jobs);
    reporter.fetched(jobs, { workerId: request.workerId, durationMs: this.#clock.monotonic() - sentAt });
  }

  #claimFailed({ request, sentAt }: ClaimPlan, error: unknown): void {
    const now = this.#clock.monotonic();
    this.#failed(error, now);
    this.#context.reporter.claimFailed(error, { workerId: request.workerId, durationMs: now - sentAt });
  }

  #failed(error: unknown, now: number): void {
    const { failures = 0, since = now } = this.#failing ?? {};
    this.#failing = { failures: failures + 1, since, error };
  }

  /** A claim that was refused twice in a row may have met a job that cannot be locked. */
  async #findUnclaimable({ request }: SearchPlan, error: unknown): Promise<void> {
    const isSuspect = this.#memory.refused(isRefused(error));
    const { statements, reporter } = this.#context;
    const { findUnclaimable } = statements;
    if (!findUnclaimable || !isSuspect) return;
    // When it fails as well, it was not for the jobs.
    const found = await findUnclaimable({ ...request, quantity: MOST_SEARCHED }).catch(() => []);
    const now = this.#clock.monotonic();
    for (const job of found) if (this.#memory.skip(job.id, now)) reporter.unclaimable(job);
  }

  /** What was seen with other flags does not count. */
  async #askForbiddenFlags(): Promise<void> {
    const { forbiddenFlags } = this.#context.settings;
    if (typeof forbiddenFlags !== "function") return;
    const flags = await this.#evaluate(forbiddenFlags);
    if (JSON.stringify(flags) !== JSON.stringify(this.#forbiddenFlags)) this.forget();
    this.#forbiddenFlags = flags;
  }

  async #evaluate(forbiddenFlags: Extract<ForbiddenFlags, () => unknown>): Promise<readonly string[]> {
    try {
      return [...((await forbiddenFlags()) ?? [])].sort();
    } catch (error) {
      this.#failed(error, this.#clock.monotonic());
      throw error;
    }
  }
}

/** What a claimer stands on. */
export type ClaimerContext = Pick<
  WorkerContext,
  "clock" | "held" | "identity" | "random" | "reporter" | "statements"
> & {
  readonly settings: Pick<
    WorkerSettings,
    "pollIntervalMs" | "maxClaimBytes" | "forbiddenFlags" | "taskConcurrency" | "gatherSizes" | "priorityAgingMs"
  >;
  readonly storedTasks: Pick<WorkerContext["storedTasks"], "identifiersById" | "refresh">;
};

/** Whom a claimer works with. */
export interface ClaimerParts {
  readonly unstarted: UnstartedJobs;
  /** Without it each claim is a statement of its own. */
  readonly coupler?: ClaimCoupler | undefined;
}

/** Sends a claim together with what comes before it. */
export interface ClaimCoupler {
  readonly claim: Claim;
  /** Goes on in the queues that the release before it frees; nothing is claimed when they cannot share a statement. */
  continue(request: ContinueRequest): Promise<NamedClaimAnswer>;
  /** Queues that the statement of the next claim frees before it looks. */
  readonly queuesFreed: readonly number[];
}

/** Claims that failed, without one between that was answered. */
export interface FailingClaims {
  readonly failures: number;
  /** When the first of them failed, by the monotonic clock. */
  readonly since: number;
  /** Of the last one. */
  readonly error: unknown;
}

/** What a claim brought. */
export interface Claimed {
  readonly chains: readonly Chain[];
  /** There may be more to claim right now. */
  readonly more: boolean;
}

/** What a claim has locked. */
interface Locked extends Claimed {
  /** What was taken out of the chains because it is beyond the byte bound. */
  readonly excess: readonly Removal[];
}

type TaskIdentifiers = ReadonlyMap<number, string>;

const NO_IDS: readonly number[] = [];

/**
 * How far a search for jobs that cannot be locked looks: one further than they
 * are left alone, and no further for a large claim.
 */
const MOST_SEARCHED = MOST_SKIPPED + 1;

/** The jobs of an answer, in the order of claims. */
function toJobs(
  { jobs, claimedAt }: NamedClaimAnswer,
  { request: { workerId }, sentAt }: ClaimPlan,
  taskIdentifiers: TaskIdentifiers,
): ClaimedJob[] {
  const tag = { workerId, claimedAt, claimedAtUs: Number(claimedAt), sentAt, taskIdentifiers };
  return jobs.map((row) => new ClaimedJob(row, tag)).sort((a, b) => a.compare(b));
}
