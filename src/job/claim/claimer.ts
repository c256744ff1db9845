import type { ClaimNamed } from "../../postgres/queries/claim-named.ts";
import type { Claim, ClaimAnswer } from "../../postgres/queries/claim.ts";
import type { FindUnclaimable, UnclaimableJob } from "../../postgres/queries/find-unclaimable.ts";
import { isRefused, isUnknownOutcome } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";
import { toChains, type Chain, type Removal } from "../chain.ts";
import { ClaimedJob } from "../claimed-job.ts";
import { ClaimMemory } from "./claim-memory.ts";
import type { ByIdPlan, Claimant, ClaimPlan, SearchPlan, Wanted } from "./claim-plan.ts";
import type { Announcement } from "./notification.ts";
import { MOST_SKIPPED } from "./skipped-jobs.ts";

/**
 * Makes claims for one worker. What a claim has to look for is planned by a
 * {@link ClaimMemory}, which learns from the answer.
 */
export class Claimer {
  readonly #options: ClaimerOptions;
  readonly #memory: ClaimMemory;
  #forbiddenFlags: readonly string[] = [];

  constructor(options: ClaimerOptions) {
    this.#options = options;
    if (typeof options.forbiddenFlags !== "function") this.#forbiddenFlags = options.forbiddenFlags;
    const { pollIntervalMs, maxClaimBytes = Number.POSITIVE_INFINITY, claimNamed } = options;
    const settings = { pollIntervalMs, maxClaimBytes, claimsById: claimNamed !== undefined };
    this.#memory = new ClaimMemory(settings, this.#now);
  }

  /** True when queues are known that a claim should look at. */
  get hasCandidates(): boolean {
    return this.#memory.hasCandidates;
  }

  /** When a claim is due again although nothing was announced. */
  get restMs(): number {
    return this.#memory.restMs(this.#now);
  }

  /** How long ago the head was scanned: the oldest a job can be that was added unannounced and not seen. */
  get headScanAgeMs(): number {
    return this.#now - this.#memory.headScanAt;
  }

  /** Work was announced: makes sure that the next claim sees it. */
  announce(announcement: Announcement): void {
    this.#memory.announce(announcement, this.#now);
  }

  /** These queues were free again when the claim in the same statement looked at them. */
  freed(queueIds: readonly number[]): void {
    this.#memory.freed(queueIds);
  }

  /** A job has gone back, perhaps before others that have been seen. */
  wentBack(job: ClaimedJob): void {
    this.#memory.wentBack(job, this.#now);
  }

  /** Other tasks than before are claimed now: nothing that was seen counts any more. */
  forget(): void {
    this.#memory.forget(this.#now);
  }

  /** Announcements may have been missed: the next claim scans from the head and may look through all queues. */
  distrust(): void {
    this.#memory.distrust(this.#now);
  }

  /**
   * Locks up to `quantity` jobs. Rejects with the error of the database; the
   * next claim sees again what this one was to see.
   */
  async claim(wanted: Wanted): Promise<Claimed> {
    const startedAt = this.#now;
    await this.#askForbiddenFlags();
    // The ids may be others when the answer comes.
    const identifiers = this.#options.taskIdentifiers();
    const plan = this.#memory.plan(wanted, this.#claimant(identifiers), this.#now);
    const locked = await this.#send(plan, identifiers);
    const { chains } = locked;
    if (chains.length === 0) return locked;
    const { keep, giveBack } = this.#options;
    for (const removal of locked.excess) giveBack?.(removal);
    const left = locked.excess.length === 0 ? chains : chains.filter(({ waiting }) => waiting > 0);
    return {
      chains: keep ? keep(left, this.#now - startedAt) : left,
      more: locked.more || locked.excess.length > 0,
    };
  }

  async #send(plan: ClaimPlan, identifiers: TaskIdentifiers): Promise<Locked> {
    try {
      return await (plan.kind === "byId" ? this.#claimById(plan, identifiers) : this.#search(plan, identifiers));
    } catch (error) {
      this.#memory.failed(plan);
      if (isUnknownOutcome(error)) this.#options.uncertain(plan.request.workerId);
      if (plan.kind === "search") await this.#findUnclaimable(plan, error);
      throw error;
    }
  }

  async #claimById(plan: ByIdPlan, identifiers: TaskIdentifiers): Promise<Locked> {
    const { claimNamed } = this.#options;
    if (!claimNamed) throw new TypeError("There is no statement to claim jobs by their ids with.");
    const jobs = toJobs(await claimNamed(plan.request), plan, identifiers);
    const chains = toChains(jobs);
    const excess = this.#memory.learnById(plan, chains);
    if (jobs.length > 0) this.#options.claimed(jobs);
    return { chains, more: false, excess };
  }

  async #search(plan: SearchPlan, identifiers: TaskIdentifiers): Promise<Locked> {
    const { claim, claimed, tasksGone, clock } = this.#options;
    const answer = await claim(plan.request);
    const jobs = toJobs(answer, plan, identifiers);
    const chains = toChains(jobs);
    const excess = this.#memory.learnSearch(plan, { answer, chains }, this.#now);
    if (jobs.length > 0) claimed(jobs);
    if (answer.tasksGone) tasksGone();
    const restMs = this.#memory.vainRestMs;
    if (restMs > 0) await clock.sleep(restMs);
    // Others may be named than fitted into this claim.
    return { chains, more: answer.more || this.hasCandidates, excess };
  }

  /** A claim that was refused twice in a row may have met a job that cannot be locked. */
  async #findUnclaimable({ request }: SearchPlan, error: unknown): Promise<void> {
    const isSuspect = this.#memory.refused(isRefused(error));
    const { findUnclaimable, unclaimable } = this.#options;
    if (!findUnclaimable || !isSuspect) return;
    // When it fails as well, it was not for the jobs.
    const found = await findUnclaimable({ ...request, quantity: MOST_SEARCHED }).catch(() => []);
    const now = this.#now;
    for (const job of found) if (this.#memory.skip(job.id, now)) unclaimable?.(job);
  }

  /** What was seen with other flags does not count. */
  async #askForbiddenFlags(): Promise<void> {
    const { forbiddenFlags } = this.#options;
    if (typeof forbiddenFlags !== "function") return;
    const flags = [...((await forbiddenFlags()) ?? [])].sort();
    if (JSON.stringify(flags) !== JSON.stringify(this.#forbiddenFlags)) this.forget();
    this.#forbiddenFlags = flags;
  }

  #claimant(identifiers: TaskIdentifiers): Claimant {
    const { workerId, queuesFreed } = this.#options;
    return {
      workerId: workerId(),
      taskIds: [...identifiers.keys()],
      forbiddenFlags: this.#forbiddenFlags.length > 0 ? this.#forbiddenFlags : null,
      freeing: queuesFreed?.() ?? NO_QUEUES,
    };
  }

  get #now(): number {
    return this.#options.clock.monotonic();
  }
}

/** What a claimer needs. */
export interface ClaimerOptions {
  readonly claim: Claim;
  /** Queues that the statement of the next claim frees before it looks. Default: none. */
  readonly queuesFreed?: (() => readonly number[]) | undefined;
  /** Without it every claim looks everywhere. */
  readonly claimNamed?: ClaimNamed | undefined;
  /** Finds the jobs that make claims fail. Without it claims fail until an operator mends the cause. */
  readonly findUnclaimable?: FindUnclaimable | undefined;
  /** A job cannot be locked, and is left alone for a while. Called once for each. */
  readonly unclaimable?: (job: UnclaimableJob) => void;
  readonly clock: Clock;
  /** The id to lock under, asked for at each claim. */
  readonly workerId: () => string;
  /** The tasks this worker runs, by their id. */
  readonly taskIdentifiers: () => TaskIdentifiers;
  /** A task id no longer exists: the tasks have to be registered again. */
  readonly tasksGone: () => void;
  readonly forbiddenFlags: ForbiddenFlags;
  /** Whether a claim under this id has locked jobs is not known: its answer was lost. */
  readonly uncertain: (workerId: string) => void;
  /** Which of the chains may be started that a claim brought after `tookMs`; the others are seen to. Default: all. */
  readonly keep?: (chains: readonly Chain[], tookMs: number) => readonly Chain[];
  /** The most bytes of payloads that a claim brings, if that is more than one job. Default: no bound. */
  readonly maxClaimBytes?: number;
  /** These jobs were claimed beyond that bound and go back. With `endsChain` the last one frees its queue. */
  readonly giveBack?: (removal: Removal) => void;
  /** These jobs belong to the worker now. */
  readonly claimed: (jobs: readonly ClaimedJob[]) => void;
  /** The shortest time between two scans of the head. */
  readonly pollIntervalMs: number;
}

/** Flags whose jobs are left alone: a list, or a function that is asked before each claim. */
export type ForbiddenFlags =
  readonly string[] | (() => readonly string[] | null | undefined | Promise<readonly string[] | null | undefined>);

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

const NO_QUEUES: readonly number[] = [];

/** How far a search for jobs that cannot be locked looks: one further than they are left alone, and no further for a large claim. */
const MOST_SEARCHED = MOST_SKIPPED + 1;

/** The jobs of an answer, in the order of claims. */
function toJobs(
  { jobs, claimedAt }: Pick<ClaimAnswer, "jobs" | "claimedAt">,
  { request: { workerId }, sentAt }: ClaimPlan,
  taskIdentifiers: TaskIdentifiers,
): ClaimedJob[] {
  const tag = { workerId, claimedAt, sentAt, taskIdentifiers };
  return jobs.map((row) => new ClaimedJob(row, tag)).sort((a, b) => a.compare(b));
}
