import { startLoop, type Loop } from "../../runtime/loop.ts";
import { removeJobs, type Acceptance, type Chain, type Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { WorkerContext, WorkerSettings } from "../worker-context.ts";
import type { Claimer } from "./claimer.ts";
import type { Announcement } from "./notification.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { Source, SourceHost, UnstartedJobs } from "./source.ts";

/**
 * Claims as many jobs as slots are free, of each queue one, or those of one call, and
 * jobs without a queue ahead where that pays: nothing else is locked that does not start at
 * once. One claim is under way at a time; slots that become free meanwhile
 * take what was read ahead, or go with the next one.
 */
export class DirectSource implements Source {
  readonly #context: DirectSourceContext;
  readonly #parts: DirectSourceParts;
  /** Without it nothing is claimed ahead. */
  readonly #ahead: ReadAhead | undefined;
  readonly #wake = (): void => this.#loop?.wake();
  #ready: Chain[] = [];
  #loop: Loop | undefined;
  /** There may be work that no claim has seen. */
  #wanted = true;
  #claiming = false;
  #isSuspended = false;

  constructor(context: DirectSourceContext, parts: DirectSourceParts) {
    this.#context = context;
    this.#parts = parts;
    this.#ahead = context.settings.readAhead ? new ReadAhead(context, parts.unstarted) : undefined;
  }

  get isIdle(): boolean {
    return this.#atHand === 0 && !this.#claiming && !this.#wanted && !this.#parts.claimer.hasCandidates;
  }

  get isAtRest(): boolean {
    return this.isIdle && !this.#parts.claimer.isMidScan;
  }

  suspend(): void {
    this.#isSuspended = true;
  }

  resume(): void {
    this.#isSuspended = false;
    this.distrust();
  }

  start(): void {
    const { clock, reporter } = this.#context;
    this.#loop = startLoop({
      name: "claim",
      clock,
      round: () => this.#round(),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("claim jobs", error);
      },
    });
  }

  take(accepts?: Acceptance, now = 0): Chain | undefined {
    const next = this.#ready[0] ?? this.#ahead?.next(now);
    if (!next && (this.#wanted || this.#parts.claimer.hasCandidates)) this.#wakeSoon();
    if (!next || accepts?.(next, now) === false) return undefined;
    return this.#ready.shift() ?? this.#ahead?.take();
  }

  handlerEnded(durationMs: number): void {
    this.#ahead?.note(durationMs);
  }

  pulse(announcement: Announcement): void {
    this.#parts.claimer.announce(announcement);
    this.#wanted = true;
    this.#wakeSoon();
  }

  distrust(): void {
    this.#parts.claimer.distrust();
    this.#wanted = true;
    this.#wakeSoon();
  }

  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    const { left, removals } = removeJobs(this.#ready, matches);
    this.#ready = left;
    const removedAhead = this.#ahead?.remove(matches) ?? [];
    return removedAhead.length === 0 ? removals : [...removals, ...removedAhead];
  }

  async stop(): Promise<readonly Chain[]> {
    await this.#loop?.stop();
    const left = [...this.#ready, ...(this.#ahead?.stop() ?? [])];
    this.#ready = [];
    return left;
  }

  /** How many chains wait for slots. */
  get #atHand(): number {
    return this.#ready.length + (this.#ahead?.size ?? 0);
  }

  /** After this turn, so that all slots it frees go with one claim. */
  #wakeSoon(): void {
    if (!this.#claiming) process.nextTick(this.#wake);
  }

  async #round(): Promise<number> {
    const { claimer, host } = this.#parts;
    if (this.#isSuspended) return Number.POSITIVE_INFINITY;
    // Slots may refuse to start for a while: what is at hand already waits for them.
    const room = host.room - this.#atHand;
    // A slot that becomes free wakes the loop, and then a look is overdue.
    this.#wanted = true;
    if (room <= 0) return this.#context.settings.pollIntervalMs;
    this.#wanted = false;
    this.#claiming = true;
    try {
      const more = await this.#claim(room);
      this.#wanted ||= more;
    } catch (error) {
      this.#wanted = true;
      this.#ahead?.answered(false, 0);
      throw error;
    } finally {
      this.#claiming = false;
    }
    if (this.#atHand > 0) host.available();
    if (this.isIdle) host.drained();
    const isMoreWanted = (this.#wanted || claimer.hasCandidates) && host.room > this.#atHand;
    return isMoreWanted ? 0 : Math.min(this.#context.settings.pollIntervalMs, claimer.restMs);
  }

  /** Claims for that number of free slots, and ahead. Returns whether there may be more. */
  async #claim(room: number): Promise<boolean> {
    const { clock } = this.#context;
    const ahead = this.#ahead;
    const sentAt = ahead ? clock.monotonic() : 0;
    const quantity = room + (ahead?.quantity(sentAt) ?? 0);
    const { chains, more } = await this.#parts.claimer.claim({
      quantity,
      chainLength: 1,
      mostQueues: room,
      mostRuled: room,
      ...(this.#context.settings.gatherSizes && { further: Math.min(MOST_FURTHER, this.#parts.host.further) }),
    });
    ahead?.answered(chains.length >= quantity, clock.monotonic() - sentAt);
    if (!ahead || chains.length <= room) {
      this.#ready.push(...chains);
    } else {
      const { first, rest } = queuedFirst(chains, room);
      this.#ready.push(...first);
      ahead.hold(rest, sentAt);
    }
    return more;
  }
}

/** As many as the largest call does. */
const MOST_FURTHER = 1_000;

/** What a direct source stands on. */
export type DirectSourceContext = Pick<WorkerContext, "clock" | "reporter"> & {
  readonly settings: Pick<WorkerSettings, "concurrency" | "pollIntervalMs" | "readAhead" | "gatherSizes">;
};

/** Whom a direct source works with. */
export interface DirectSourceParts {
  readonly claimer: Claimer;
  readonly host: SourceHost;
  readonly unstarted: Pick<UnstartedJobs, "giveBack">;
}

/** The chains that start, those of queues among them, because a queue or a lane is locked meanwhile; and the others. Each in their order. */
function queuedFirst(chains: readonly Chain[], room: number): { readonly first: Chain[]; readonly rest: Chain[] } {
  if (chains.every(({ queueId }, place) => queueId === null || place < room)) {
    return { first: chains.slice(0, room), rest: chains.slice(room) };
  }
  let places = room - chains.filter(({ queueId }) => queueId !== null).length;
  const first: Chain[] = [];
  const rest: Chain[] = [];
  for (const chain of chains) (chain.queueId !== null || places-- > 0 ? first : rest).push(chain);
  return { first, rest };
}
