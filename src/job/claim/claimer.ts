import { comparePositions, START } from "../../postgres/position.ts";
import type { ClaimNamed } from "../../postgres/queries/claim-named.ts";
import type { Claim, ClaimAnswer, ClaimRequest } from "../../postgres/queries/claim.ts";
import type { FindUnclaimable, UnclaimableJob } from "../../postgres/queries/find-unclaimable.ts";
import { isRefused, isUnknownOutcome } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";
import { toChains, type Chain, type Removal } from "../chain.ts";
import { ClaimedJob } from "../claimed-job.ts";
import { AnnouncedJobs } from "./announced-jobs.ts";
import { Candidates } from "./candidates.ts";
import { Floors, type FloorTicket } from "./floors.ts";
import { HeadScans, type ClaimTimes } from "./head-scans.ts";
import { PayloadSizes } from "./payload-sizes.ts";
import { type QueueFloor, QueueFloors } from "./queue-floors.ts";
import { QueueWindow } from "./queue-window.ts";
import { DUE, seenPositions } from "./seen-positions.ts";
import { MOST_SKIPPED, SkippedJobs } from "./skipped-jobs.ts";
import { VainClaims } from "./vain-claims.ts";

/** How much a claim shall bring. */
export interface Wanted {
  /** The most jobs. */
  readonly quantity: number;
  /** The most jobs of one queue. */
  readonly chainLength: number;
  /** The most queues; with fewer of them chains are longer. */
  readonly mostQueues: number;
  /** Bytes of payloads that wait already, and count for the bound of this one. Default 0. */
  readonly heldBytes?: number;
}

/** What a claim brought. */
export interface Claimed {
  readonly chains: readonly Chain[];
  /** There may be more to claim right now. */
  readonly more: boolean;
}

/** What a notification, or our own release, says about new work. */
export interface Announcement {
  /** How many jobs; left out when it is about queues that have become free. */
  readonly count?: number | undefined;
  /** The earliest `run_at` in microseconds; left out when the sender did not say. */
  readonly at?: string | undefined;
  /** Queues that have jobs, or have become free. */
  readonly queueIds?: readonly number[] | undefined;
  /** The jobs, when this is all there is to it and none of them is in a queue. */
  readonly jobIds?: readonly string[] | undefined;
}

/** Flags whose jobs are left alone: a list, or a function that is asked before each claim. */
export type ForbiddenFlags =
  readonly string[] | (() => readonly string[] | null | undefined | Promise<readonly string[] | null | undefined>);

/** What a claimer needs. */
export interface ClaimerOptions {
  readonly claim: Claim;
  /** Queues that the statement of the next claim frees before it looks. Default: none. */
  readonly queuesFreed?: (() => readonly number[]) | undefined;
  /** Without it every claim looks everywhere. */
  readonly claimNamed?: ClaimNamed | undefined;
  /** Finds the jobs that make claims fail. Without it claims fail until somebody else does. */
  readonly findUnclaimable?: FindUnclaimable | undefined;
  /** A job cannot be locked, and is left alone for a while. Told once. */
  readonly unclaimable?: (job: UnclaimableJob) => void;
  readonly clock: Clock;
  /** The id to lock under, asked for at each claim. */
  readonly workerId: () => string;
  /** The tasks this worker runs, by their id. */
  readonly taskIdentifiers: () => ReadonlyMap<number, string>;
  /** A task id no longer exists: the tasks have to be registered again. */
  readonly tasksGone: () => void;
  readonly forbiddenFlags: ForbiddenFlags;
  /** Nobody knows whether a claim under this id has locked jobs: its answer was lost. */
  readonly uncertain: (workerId: string) => void;
  /** Which of the chains may be started that a claim brought after so long; the others are seen to. Default: all. */
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

/**
 * Makes claims for one worker and remembers what they have seen: how far each
 * priority has been scanned, which queues are worth a look, when to look
 * through all of them, and when to scan from the head again.
 */
export class Claimer {
  readonly #options: ClaimerOptions;
  readonly #floors = new Floors();
  readonly #candidates = new Candidates();
  readonly #queueFloors: QueueFloors;
  readonly #window: QueueWindow;
  readonly #announced: AnnouncedJobs;
  readonly #headScans: HeadScans;
  readonly #vainClaims: VainClaims;
  readonly #sizes: PayloadSizes;
  readonly #skipped = new SkippedJobs();
  /** How many claims in a row the server has refused. */
  #refusals = 0;
  #forbiddenFlags: readonly string[] = [];

  constructor(options: ClaimerOptions) {
    this.#options = options;
    if (typeof options.forbiddenFlags !== "function") this.#forbiddenFlags = options.forbiddenFlags;
    this.#window = new QueueWindow(options.pollIntervalMs);
    this.#announced = new AnnouncedJobs(options.pollIntervalMs);
    this.#queueFloors = new QueueFloors(options.pollIntervalMs);
    this.#headScans = new HeadScans(options.pollIntervalMs, options.clock.monotonic());
    this.#vainClaims = new VainClaims(options.clock);
    this.#sizes = new PayloadSizes(options.maxClaimBytes ?? Number.POSITIVE_INFINITY);
  }

  /** True when queues are known that a claim should look at. */
  get hasCandidates(): boolean {
    return !this.#candidates.isEmpty;
  }

  /** When a claim is due again although nothing was announced: an unfinished look through all queues goes on. */
  get restMs(): number {
    const nowMs = this.#options.clock.monotonic();
    const windowMs = this.#window.restMs(nowMs);
    return Math.min(windowMs > 0 ? windowMs : Number.POSITIVE_INFINITY, this.#announced.restMs(nowMs));
  }

  /** How long ago the head was scanned: the oldest a job can be that was added unannounced and not seen. */
  get headScanAgeMs(): number {
    return this.#options.clock.monotonic() - this.#headScans.lastAt;
  }

  /** Work was announced: makes sure that the next claim sees it. */
  announce({ count, at, queueIds = [], jobIds }: Announcement): void {
    this.#announced.announced(jobIds);
    if (at !== undefined) this.#floors.rewind(at);
    // The jobs may lie behind the floors, and nobody said how far.
    else if (count !== undefined) this.#headScans.bringForward();
    for (const queueId of queueIds) {
      this.#candidates.name(queueId);
      if (count === undefined) this.#queueFloors.freed(queueId);
      else this.#queueFloors.announced(queueId, this.#options.clock.monotonic());
    }
  }

  /** These queues were free again when the claim in the same statement looked at them. */
  freed(queueIds: readonly number[]): void {
    for (const queueId of queueIds) this.#queueFloors.freed(queueId);
  }

  /** A job has gone back, perhaps before others that have been seen. */
  wentBack({ queueId, position }: ClaimedJob): void {
    if (queueId === null) this.#floors.rewind(position.at);
    else this.#queueFloors.forget(queueId, this.#options.clock.monotonic());
  }

  /** Other tasks than before are claimed now: nothing that was seen counts any more. */
  forget(): void {
    this.#floors.forget();
    this.distrust();
    this.#queueFloors.clear(this.#options.clock.monotonic());
  }

  /** Announcements may have been missed: the next claim scans from the head and may look through all queues. */
  distrust(): void {
    this.#announced.lookEverywhere();
    this.#headScans.askFor();
    this.#queueFloors.distrust(this.#options.clock.monotonic());
    this.#window.reset();
  }

  /**
   * Locks up to `quantity` jobs. Rejects with the error of the database; the
   * next claim sees again what this one was to see.
   */
  async claim(wanted: Wanted): Promise<Claimed> {
    const { clock, keep } = this.#options;
    const startedAt = clock.monotonic();
    const heldBytes = wanted.heldBytes ?? 0;
    const quantity = this.#sizes.limit(wanted.quantity, heldBytes);
    const claimed = await this.#claim(quantity === wanted.quantity ? wanted : { ...wanted, quantity });
    if (claimed.chains.length === 0) return claimed;
    const tooMuch = this.#sizes.bound(claimed.chains, wanted.quantity, heldBytes);
    const { chains, more } = tooMuch.length === 0 ? claimed : this.#without(claimed.chains, tooMuch);
    return { chains: keep ? keep(chains, clock.monotonic() - startedAt) : chains, more };
  }

  #without(chains: readonly Chain[], removals: readonly Removal[]): Claimed {
    for (const removal of removals) this.#options.giveBack?.(removal);
    return { chains: chains.filter(({ waiting }) => waiting > 0), more: true };
  }

  async #claim(wanted: Wanted): Promise<Claimed> {
    const { clock, claim } = this.#options;
    await this.#askForbiddenFlags();
    const startedAt = clock.monotonic();
    const isHeadScan = this.#headScans.isDue(startedAt);
    if (this.#options.claimNamed) {
      const most = isHeadScan || this.hasCandidates ? 0 : wanted.quantity;
      const jobIds = this.#announced.take(this.#skipped.isEmpty ? most : 0, startedAt);
      if (jobIds) return this.#claimNamed(this.#options.claimNamed, jobIds, startedAt);
    }
    // Not only this claim: when it is full, the next ones have to go on from where it ended.
    if (isHeadScan) this.#floors.forget(DUE);
    const { request, queueFloors } = this.#request(wanted);
    const ticket = this.#floors.begin();
    // The ids may be others when the answer comes.
    const identifiers = this.#options.taskIdentifiers();
    try {
      const answer = await claim(request);
      const { workerId } = request;
      const tag = { workerId, claimedAt: answer.claimedAt, sentAt: startedAt, taskIdentifiers: identifiers };
      const jobs = answer.jobs.map((row) => new ClaimedJob(row, tag)).sort((a, b) => a.compare(b));
      this.#floors.settle(ticket, seenPositions(answer));
      this.#settle(request, answer, jobs);
      const endedAt = clock.monotonic();
      const look = { startedAt, tookMs: answer.tookMs };
      if (isHeadScan) this.#headScans.done(look);
      else if (answer.levels.some(({ priority }) => !ticket.sent.has(priority))) this.#headScans.wentOn(look);
      const chains = toChains(jobs);
      this.#announced.looked(answer.more, endedAt);
      const hasGoneOn = jobs.length > 0 || comparePositions(answer.due, request.due) > 0;
      await this.#vainClaims.rest(answer.more && !hasGoneOn);
      this.#rememberQueues(chains, queueFloors, look);
      // Others may be named than fitted into this claim.
      return { chains, more: answer.more || this.hasCandidates };
    } catch (error) {
      this.#failed(error, ticket, request.workerId);
      for (const queueId of request.queueIds) this.#candidates.name(queueId);
      if (request.windowAfter !== null) this.#window.failed();
      await this.#searchAfter(error, request);
      throw error;
    }
  }

  /** Locks jobs by their ids: all else was seen. What is not locked belongs to others, or is behind the floors. */
  async #claimNamed(claim: ClaimNamed, jobIds: readonly string[], sentAt: number): Promise<Claimed> {
    const identifiers = this.#options.taskIdentifiers();
    const workerId = this.#options.workerId();
    const ticket = this.#floors.begin();
    try {
      const taskIds = [...identifiers.keys()];
      const forbiddenFlags = this.#forbiddenFlags.length > 0 ? this.#forbiddenFlags : null;
      const { jobs: rows, claimedAt } = await claim({ workerId, jobIds, taskIds, forbiddenFlags });
      const tag = { workerId, claimedAt, sentAt, taskIdentifiers: identifiers };
      const jobs = rows.map((row) => new ClaimedJob(row, tag)).sort((a, b) => a.compare(b));
      this.#floors.settle(ticket, []);
      if (jobs.length > 0) this.#options.claimed(jobs);
      return { chains: toChains(jobs), more: false };
    } catch (error) {
      this.#failed(error, ticket, workerId);
      throw error;
    }
  }

  #failed(error: unknown, ticket: FloorTicket, workerId: string): void {
    this.#floors.fail(ticket);
    this.#announced.lookEverywhere();
    if (isUnknownOutcome(error)) this.#options.uncertain(workerId);
  }

  /** A claim that was refused twice in a row may have met a job that cannot be locked. */
  async #searchAfter(error: unknown, request: ClaimRequest): Promise<void> {
    const { clock, findUnclaimable, unclaimable } = this.#options;
    this.#refusals = isRefused(error) ? this.#refusals + 1 : 0;
    if (!findUnclaimable || this.#refusals < 2) return;
    // When it fails as well, it was not for the jobs.
    const found = await findUnclaimable({ ...request, quantity: MOST_SEARCHED }).catch(() => []);
    const nowMs = clock.monotonic();
    for (const job of found) if (this.#skipped.found(job.id, nowMs)) unclaimable?.(job);
  }

  /** What was seen with other flags does not count. */
  async #askForbiddenFlags(): Promise<void> {
    const { forbiddenFlags } = this.#options;
    if (typeof forbiddenFlags !== "function") return;
    const flags = [...((await forbiddenFlags()) ?? [])].sort();
    if (JSON.stringify(flags) !== JSON.stringify(this.#forbiddenFlags)) this.forget();
    this.#forbiddenFlags = flags;
  }

  #request({ quantity, chainLength, mostQueues }: Wanted): PreparedClaim {
    const { workerId, taskIdentifiers, clock } = this.#options;
    const nowMs = clock.monotonic();
    const priorities = this.#floors.keys().filter((key) => key !== DUE);
    const freed = this.#options.queuesFreed?.() ?? NO_QUEUES;
    const candidates = this.#candidates.take(Math.ceil(SPARE_CANDIDATES * mostQueues) + 4);
    const queueIds = freed.length > 0 ? [...new Set([...freed, ...candidates])] : candidates;
    const queueFloors = this.#queueFloors.known(queueIds, nowMs, freed);
    const request: ClaimRequest = {
      workerId: workerId(),
      quantity,
      taskIds: [...taskIdentifiers().keys()],
      forbiddenFlags: this.#forbiddenFlags.length > 0 ? this.#forbiddenFlags : null,
      levels: priorities.map((priority) => ({ priority, floor: this.#floors.get(priority) ?? START })),
      queueIds,
      queueFloors: [...queueFloors].map(([queueId, { priority, position }]) => ({
        queueId,
        priority,
        floor: position,
      })),
      heldQueueIds: this.#queueFloors.held(freed, nowMs),
      due: this.#floors.get(DUE) ?? START,
      windowAfter: this.#window.next(nowMs),
      chainLength,
      mostQueues,
      skipIds: this.#skipped.at(nowMs),
    };
    return { request, queueFloors };
  }

  /** Where each chain ends is where the next look at its queue begins. */
  #rememberQueues(
    chains: readonly Chain[],
    sent: ReadonlyMap<number, QueueFloor>,
    { startedAt, tookMs }: ClaimTimes,
  ): void {
    for (const chain of chains) {
      const { queueId } = chain;
      const last = queueId === null ? undefined : chain.rest.at(-1);
      if (queueId !== null && last)
        this.#queueFloors.took(queueId, last, { sent: sent.get(queueId), startedAt, tookMs });
    }
  }

  #settle(request: ClaimRequest, answer: ClaimAnswer, jobs: readonly ClaimedJob[]): void {
    this.#refusals = 0;
    if (jobs.length > 0) this.#options.claimed(jobs);
    if (!this.#skipped.isEmpty) this.#skipped.claimed(jobs.map(({ id }) => id));
    if (answer.tasksGone) this.#options.tasksGone();
    this.#candidates.leave(answer.leftover);
    if (request.windowAfter === null) return;
    const isNeeded = answer.windowFound && jobs.length >= request.quantity;
    this.#window.settle(answer, isNeeded, this.#options.clock.monotonic());
  }
}

/** A claim to send, and the floors of queues that it is sent with. */
interface PreparedClaim {
  readonly request: ClaimRequest;
  readonly queueFloors: ReadonlyMap<number, QueueFloor>;
}

const NO_QUEUES: readonly number[] = [];

/** How far a search for jobs that cannot be locked looks: one further than they are left alone, and no further for a large claim. */
const MOST_SEARCHED = MOST_SKIPPED + 1;

/** So many times the queues that are needed are offered to a claim: some will be locked, and each costs a look. */
const SPARE_CANDIDATES = 1.25;
