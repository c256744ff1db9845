import { comparePositions } from "../../postgres/position.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim-answer.ts";
import type { ClaimRequest, KnownQueue } from "../../postgres/queries/claim.ts";
import type { Chain, Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { AgingReserve } from "./aging-reserve.ts";
import { AnnouncedJobs } from "./announced-jobs.ts";
import type {
  ByIdPlan,
  Claimant,
  ClaimMemorySettings,
  ClaimPlan,
  ContinuePlan,
  SearchPlan,
  Wanted,
} from "./claim-plan.ts";
import { Floors } from "./floors.ts";
import { GatheredQueues } from "./gathered-queues.ts";
import type { Announcement } from "./notification.ts";
import { PayloadSizes } from "./payload-sizes.ts";
import { type QueueFloor, QueueMemory, type QueueScan } from "./queue-memory.ts";
import { RuledQueues } from "./ruled/ruled-queues.ts";
import { HeadScans, QueueWindow } from "./scan-times.ts";
import { SkippedJobs } from "./skipped-jobs.ts";
import { afterFailure, afterSearch, answeredSearch, type StraightClaims, UNLIKELY } from "./straight-claims.ts";

/**
 * What the claims of one worker have seen, and therefore what the next one leaves
 * out. It plans each claim, and learns from each answer or failure; it sends
 * nothing and reads no clock.
 *
 *   a claim leaves out             because                until
 *   all but some ids               nothing else can be    a queue is named, jobs are announced without
 *                                  there                  ids, an answer says "more", a claim fails,
 *                                                         a poll interval has passed, or distrust
 *   all but the queues that its    the same               the same, a job is announced, or such a queue
 *   own statement frees, each                             has no next job there
 *   from its floor on
 *   jobs without a queue up to     they were seen         jobs are announced from before it, a claim
 *   the floor of their priority                           fails that began before it, a poll interval
 *                                                         has passed, or distrust
 *   queues that are not named,     they were seen         jobs are announced from before it, a claim
 *   up to the floor of what                               fails that began before it, or a window
 *   became due                                            meets them
 *   jobs of a queue up to its      they were seen         one goes back, a poll interval has passed, or
 *   floor                                                 a twentieth of the time after an announcement
 *                                                         for it, or distrust
 *   queues that the worker holds   it names them itself   their chain ends, or their floor would end
 *   queues with rules that have    the database said      that time has come; or one is announced,
 *   to wait until a known time     when                   ten times a second at most
 *   the window over all queues     it rests, or another   its rest is over, the other one has ended,
 *                                  claim has it           or distrust
 *   jobs to skip                   they cannot be locked  their time is over
 *
 * When other tasks are claimed than before, all of it but the last counts no
 * longer. Claims overlap: the answer of one proves nothing about what was
 * announced, went back or failed since it was sent.
 */
export class ClaimMemory {
  readonly #floors = new Floors();
  readonly #queues: QueueMemory;
  readonly #window: QueueWindow;
  readonly #announced: AnnouncedJobs;
  readonly #headScans: HeadScans;
  readonly #sizes: PayloadSizes;
  readonly #skipped = new SkippedJobs();
  readonly #claimsById: boolean;
  readonly #continues: boolean;
  readonly #random: () => number;
  readonly #reserve: AgingReserve | undefined;
  #ruled: RuledQueues | undefined;
  #gathered: GatheredQueues | undefined;
  #straight: StraightClaims = UNLIKELY;
  /** How many claims in a row the server has refused. */
  #refusals = 0;
  /** How many claims in a row have got nothing of what they were told is there. */
  #vain = 0;

  constructor(settings: ClaimMemorySettings, now: number) {
    const { pollIntervalMs, maxClaimBytes, claimsById, continues, priorityAgingMs, random = Math.random } = settings;
    this.#queues = new QueueMemory(pollIntervalMs);
    this.#window = new QueueWindow(pollIntervalMs);
    this.#announced = new AnnouncedJobs(pollIntervalMs);
    this.#headScans = new HeadScans(pollIntervalMs, now);
    this.#sizes = new PayloadSizes(maxClaimBytes);
    this.#claimsById = claimsById;
    this.#continues = continues === true;
    this.#random = random;
    this.#reserve = priorityAgingMs === undefined ? undefined : new AgingReserve(priorityAgingMs);
  }

  /** What is remembered of queues with rules; `undefined` until a claim has come across one. */
  get ruled(): RuledQueues | undefined {
    return this.#ruled;
  }

  /** True when queues are known that a claim should look at. */
  get hasCandidates(): boolean {
    return this.#queues.hasCandidates;
  }

  /** True while a circle through all queues is unfinished. */
  get isMidScan(): boolean {
    return this.#window.isInCircle;
  }

  /** When the last scan of the head began: a job that was added since, and not announced, may be unseen. */
  get headScanAt(): number {
    return this.#headScans.lastAt;
  }

  /** In how long the head may be scanned again; 0 when it may. */
  headScanInMs(now: number): number {
    return this.#headScans.inMs(now);
  }

  /** In how long a claim may look through all queues; 0 when it may. */
  windowInMs(now: number): number {
    return this.#window.restMs(now);
  }

  /** When a claim is due again although nothing was announced: an unfinished circle through all queues goes on, or a wait is over. */
  restMs(now: number): number {
    const windowMs = this.#window.restMs(now);
    const scanMs = Math.min(windowMs > 0 ? windowMs : Number.POSITIVE_INFINITY, this.#announced.restMs(now));
    return this.#ruled ? Math.min(scanMs, this.#ruled.restMs(now)) : scanMs;
  }

  /** How long the next claim has to wait because those before it got nothing, again and again. */
  get vainRestMs(): number {
    return this.#vain > FREE_VAIN ? VAIN_REST_MS : 0;
  }

  /** Work was announced: the next plan includes it. */
  announce({ count, at, queueIds, jobIds }: Announcement, now: number): void {
    this.#announced.announced(jobIds);
    if (at !== undefined) this.#floors.rewind(at);
    // The jobs may lie behind the floors, and how far is not known.
    else if (count !== undefined) this.#headScans.bringForward();
    for (const queueId of queueIds ?? []) {
      if (this.#ruled?.postpones(queueId, now) !== true) this.#queues.name(queueId);
      if (count === undefined) this.#queues.freed(queueId);
      else this.#queues.announced(queueId, now);
    }
  }

  /** These queues were free again when the claim in the same statement looked at them. */
  freed(queueIds: readonly number[]): void {
    for (const queueId of queueIds) this.#queues.freed(queueId);
  }

  /** Whether a claim is to look at this queue. */
  isCandidate(queueId: number): boolean {
    return this.#queues.isCandidate(queueId);
  }

  /** A job has gone back, perhaps before others that have been seen. */
  wentBack({ queueId, position }: Pick<ClaimedJob, "queueId" | "position">, now: number): void {
    if (queueId === null) this.#floors.rewind(position.at);
    else this.#queues.wentBack(queueId, now);
  }

  /** Other tasks than before are claimed now: nothing that was seen counts any more. */
  forget(now: number): void {
    this.#floors.forget();
    this.distrust(now);
    this.#queues.forget(now);
  }

  /** Announcements may have been missed: the next claim scans from the head and may scan all queues. */
  distrust(now: number): void {
    this.#announced.lookEverywhere();
    this.#headScans.askFor();
    this.#queues.distrust(now);
    this.#window.reset();
  }

  /** What a claim has to look for that is sent now. The plan has to be given back: to the method that learns from it, or to `failed`. */
  plan(wanted: Wanted, claimant: Claimant, now: number): ClaimPlan {
    if (this.#ruled) for (const queueId of this.#ruled.due(now)) this.#queues.name(queueId);
    if (claimant.gathered) (this.#gathered ??= new GatheredQueues()).told(claimant.gathered);
    const continuation = claimant.freeing.length > 0 ? this.#planContinuation(wanted, claimant, now) : undefined;
    if (continuation) return continuation;
    const jobIds = this.#jobsToName(wanted, claimant, now);
    if (!jobIds) return this.#planSearch(wanted, claimant, now);
    const { workerId, taskIds, forbiddenFlags } = claimant;
    const request = { workerId, jobIds, taskIds, forbiddenFlags };
    return { kind: "byId", wanted, sentAt: now, request, ticket: this.#floors.begin() };
  }

  /**
   * The queues that are freed are all that can have jobs, and it is known up to
   * where each was seen: then the next job of each is looked for there.
   */
  #planContinuation(wanted: Wanted, claimant: Claimant, now: number): ContinuePlan | undefined {
    const { freeing, restingTaskIds, ...who } = claimant;
    const isAllSeen = this.#announced.isQuiet(now) && this.#window.restMs(now) > 0 && !this.#needsSearch(now);
    const most = Math.min(this.#sizes.limit(wanted), wanted.mostQueues);
    if (!this.#continues || !isAllSeen || restingTaskIds.length > 0 || freeing.length > most) return undefined;
    if (this.#gathered?.hasAny(freeing) === true) return undefined;
    const queueFloors = this.#queues.endingFloors(freeing, now);
    // One that is freed twice, or of which it is not known, is looked at from its first job. So is one of which lanes are freed.
    if (queueFloors.size < freeing.length) return undefined;
    const request = { ...who, queues: toKnownQueues(queueFloors) };
    return { kind: "continue", wanted, sentAt: now, request, ticket: this.#floors.begin(), queueFloors };
  }

  /** Whether there may be something that only a search finds. */
  #needsSearch(now: number): boolean {
    return this.#headScans.isDue(now) || this.hasCandidates || !this.#skipped.isEmpty;
  }

  /** The ids of all jobs that there can be to claim; `undefined` when it takes a search to know. */
  #jobsToName(wanted: Wanted, { freeing, restingTaskIds }: Claimant, now: number): readonly string[] | undefined {
    const isPlain = freeing.length === 0 && restingTaskIds.length === 0;
    const claimsById = this.#claimsById && isPlain && !this.#needsSearch(now);
    return this.#announced.take(claimsById ? this.#sizes.limit(wanted) : 0, now);
  }

  #planSearch(wanted: Wanted, claimant: Claimant, now: number): SearchPlan {
    const { workerId, taskIds, forbiddenFlags, freeing, restingTaskIds } = claimant;
    const isHeadScan = this.#headScans.isDue(now);
    // Not only for this claim: when it is full, the next ones have to go on from where it ended.
    if (isHeadScan) this.#floors.forgetLevels();
    const { chainLength, mostQueues, mostRuled, further = 0 } = wanted;
    const quantity = this.#sizes.limit(wanted);
    const aging = this.#reserve?.next(quantity);
    const candidates = this.#queues.take(Math.ceil(SPARE_CANDIDATES * mostQueues) + 4);
    // Pools, whose lanes are freed as well, have owners below 0.
    const queueIds = freeing.length > 0 ? [...new Set([...freeing.filter((id) => id > 0), ...candidates])] : candidates;
    const queueFloors = this.#queues.floors(queueIds, now, freeing);
    const { levels } = this.#floors;
    const windowAfter = this.#window.next(now);
    const request: ClaimRequest = {
      workerId,
      quantity,
      taskIds,
      forbiddenFlags,
      levels,
      queueIds,
      queueFloors: toKnownQueues(queueFloors),
      heldQueueIds: this.#queues.held(freeing, now),
      due: this.#floors.due,
      windowAfter,
      chainLength,
      mostQueues,
      skipIds: this.#skipped.at(now),
      servedQueueIds: this.#ruled?.served,
      mostRuled,
      restingTaskIds,
      gathering: this.#gathered?.calls(
        this.#sizes.limit({ ...wanted, quantity: wanted.quantity + further }) - quantity,
      ),
      aging,
      isStraight:
        this.#straight.isLikely && !aging && levels.length > 0 && queueIds.length === 0 && windowAfter === null,
    };
    return { kind: "search", wanted, sentAt: now, request, ticket: this.#floors.begin(), queueFloors, isHeadScan };
  }

  /**
   * The jobs of these chains were locked by id. Takes out of the chains what is
   * beyond the byte bound, and returns it.
   */
  learnById({ ticket, wanted }: ByIdPlan, chains: readonly Chain[]): readonly Removal[] {
    this.#floors.settle(ticket);
    return this.#sizes.bound(chains, wanted);
  }

  /**
   * The next jobs of queues were locked, and form these chains. Queues without
   * one are searched. Takes out of the chains what is beyond the byte bound, and
   * returns it.
   */
  learnContinuation(plan: ContinuePlan, chains: readonly Chain[]): readonly Removal[] {
    const { ticket, wanted, sentAt, queueFloors, request } = plan;
    this.#floors.settle(ticket);
    this.#noteChains(chains, { sentAt, tookMs: 0, sentWith: queueFloors });
    if (chains.length < request.queues.length) {
      const found = new Set(chains.map(({ queueId }) => queueId));
      for (const { queueId } of request.queues) if (!found.has(queueId)) this.#queues.name(queueId);
    }
    return this.#sizes.bound(chains, wanted);
  }

  /**
   * A search was answered, and has locked the jobs of these chains. Takes out of
   * the chains what is beyond the byte bound, and returns it.
   */
  learnSearch(plan: SearchPlan, { answer, chains }: Brought, now: number): readonly Removal[] {
    const { request, wanted, ticket, sentAt, queueFloors } = plan;
    const count = answer.jobs.length;
    this.#refusals = 0;
    this.#floors.settle(ticket, answer);
    if (!this.#skipped.isEmpty) this.#skipped.claimed(answer.jobs.map(({ id }) => id));
    this.#queues.leftOver(answer.leftover);
    if (answer.hasRules) (this.#ruled ??= new RuledQueues(this.#random)).learn(answer, now);
    if (request.windowAfter !== null) {
      this.#window.settle(answer, answer.windowFound && count >= request.quantity, now);
    }
    this.#noteHeadScan(plan, answer);
    this.#straight = afterSearch(this.#straight, answeredSearch(request, answer));
    this.#announced.looked(answer.more, now);
    const hasGoneOn = count > 0 || comparePositions(answer.due, request.due) > 0;
    this.#vain = answer.more && !hasGoneOn ? this.#vain + 1 : 0;
    this.#noteChains(chains, { sentAt, tookMs: answer.tookMs, sentWith: queueFloors });
    return this.#sizes.bound(chains, wanted);
  }

  /** A claim failed, or its answer was lost: the next one looks for what this one was to find. */
  failed(plan: ClaimPlan): void {
    this.#floors.fail(plan.ticket);
    this.#announced.lookEverywhere();
    if (plan.kind === "byId") return;
    if (plan.kind === "continue") {
      for (const { queueId } of plan.request.queues) this.#queues.name(queueId);
      return;
    }
    this.#straight = afterFailure(this.#straight);
    for (const queueId of plan.request.queueIds) this.#queues.name(queueId);
    if (plan.request.windowAfter !== null) this.#window.failed();
  }

  /**
   * The server has refused a search, or it failed otherwise. Returns whether it
   * may be for a job that cannot be locked: it was refused twice in a row.
   */
  refused(isRefused: boolean): boolean {
    this.#refusals = isRefused ? this.#refusals + 1 : 0;
    return this.#refusals >= 2;
  }

  /** A job cannot be locked: claims skip it for a while. Returns whether that is news. */
  skip(jobId: string, now: number): boolean {
    return this.#skipped.found(jobId, now);
  }

  #noteHeadScan({ isHeadScan, sentAt, ticket }: SearchPlan, { tookMs, levels }: ClaimAnswer): void {
    if (isHeadScan) this.#headScans.done({ sentAt, tookMs });
    else if (levels.some(({ priority }) => !ticket.levels.has(priority))) this.#headScans.wentOn({ sentAt, tookMs });
  }

  /** Where each chain ends is where the next look at its queue begins. */
  #noteChains(chains: readonly Chain[], scan: QueueScan): void {
    for (const chain of chains) {
      const { queueId } = chain;
      const last = queueId === null ? undefined : chain.rest.at(-1);
      if (queueId === null || !last) continue;
      this.#queues.took(queueId, last, scan);
      this.#gathered?.took(queueId, last);
      if (!chain.isRuled) continue;
      // Others take from it, too.
      this.#queues.freed(queueId);
      this.#ruled?.took(queueId, last);
    }
  }
}

function toKnownQueues(floors: ReadonlyMap<number, QueueFloor>): KnownQueue[] {
  return Array.from(floors, ([queueId, { priority, position }]) => ({ queueId, priority, floor: position }));
}

/** What a search has locked. */
export interface Brought {
  readonly answer: ClaimAnswer;
  /** Of the jobs of the answer. */
  readonly chains: readonly Chain[];
}

/** How many times the queues that are needed are offered to a claim: some will be locked, and each costs a look. */
const SPARE_CANDIDATES = 1.25;

/** After this number of failed claims the next ones rest: what is there is locked by others, and asking again does not free it. */
const FREE_VAIN = 3;
const VAIN_REST_MS = 10;
