import { HowdahError } from "../../errors.ts";
import { OwnContext } from "../../runtime/own-context.ts";
import { type Chain, keyOf, type Removal, type RunKey } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { GatherTask } from "../task.ts";
import { CollectingCalls } from "./collecting-calls.ts";
import { Companions } from "./companions.ts";
import type { Gathering } from "./gathering.ts";
import { ParkedChains } from "./parked-chains.ts";
import { returnUnstarted, Slot, type SlotAtWork, type SlotContext, type SlotParts, type SlotsEngine } from "./slot.ts";

/**
 * The places in which a worker runs handlers. A slot takes a chain and runs
 * its jobs one after another. A handler that ignores its signal loses its slot,
 * but not its queue: that is free only when the handler has settled, and until
 * then no other job of that queue starts here, even if its lock was lost meanwhile.
 */
export class Slots {
  readonly #context: SlotContext;
  readonly #engine: SlotsEngine;
  readonly #parts: SlotParts;
  /** Calls that wait for more jobs. */
  readonly collecting: CollectingCalls;
  readonly #busy = new Map<RunKey, Slot>();
  /** Those that are at work in the place of another one. */
  readonly #companions = new Companions();
  /** Those whose handlers go on although their attempts have ended. */
  readonly #detached = new Set<Slot>();
  readonly #parked = new ParkedChains(this);
  /** Slots of jobs that share a place with another one of the same call. */
  #sharing = 0;
  #filling = false;
  #paused = true;

  constructor(context: SlotContext, engine: SlotsEngine) {
    this.#context = context;
    this.#engine = engine;
    // That of `run()`, in which the slots are made: each job begins there.
    this.#parts = { context, engine, origin: new OwnContext(), slots: this };
    this.collecting = new CollectingCalls(this.#parts);
  }

  /** How many slots have nothing to do. */
  get free(): number {
    return this.#context.settings.concurrency - this.#busy.size + this.#sharing;
  }

  /** How many slots are at work. */
  get busy(): number {
    return this.#busy.size - this.#sharing;
  }

  /** How many handlers still run although their attempts have ended. */
  get detachedCount(): number {
    return this.#detached.size;
  }

  /** What is at work now. */
  atWork(): SlotAtWork[] {
    return Array.from(this.#running, (slot) => slot.work);
  }

  /** Whether a job at work may be gone from its row already: its handler has completed it, or is about to. */
  isUndecided(job: ClaimedJob): boolean {
    return this.#slotOf(job)?.executionOf(job)?.undecided !== undefined;
  }

  /** Begins to take chains. */
  resume(): void {
    this.#paused = false;
    this.fill();
  }

  /** Takes no further chain, and ends those at work with the job that runs. Returns the jobs that were not started. */
  pause(): readonly Removal[] {
    this.#paused = true;
    this.collecting.closeAll();
    return this.remove(() => true);
  }

  /** Takes the jobs that match out of the chains at work, as far as they have not been started. */
  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    const removals = this.#parked.remove(matches);
    for (const { chain } of this.#busy.values()) {
      const jobs = chain.waiting > 0 ? chain.remove(matches) : [];
      if (jobs.length > 0) removals.push({ jobs, endsChain: false });
    }
    return removals;
  }

  /** Stops the handler of a job, if it is at work, because others may have the job by now. What is left of its chain goes back. */
  lose(job: ClaimedJob, reason: HowdahError): void {
    this.#slotOf(job)?.lose(reason);
  }

  /** Stops the handler of a job that was cancelled, if it is at work. */
  cancel(job: ClaimedJob, reason: string): void {
    this.#slotOf(job)?.cancel(new HowdahError("HOWDAH_ABORTED_CANCELLED", reason));
  }

  /** Gives every free slot a chain, as far as there are any. */
  fill(): void {
    // A handler that ends at once comes back here: the loop below goes on anyway.
    if (this.#filling) return;
    this.#filling = true;
    const { clock } = this.#context;
    while (!this.#paused && this.free > 0) {
      const now = clock.monotonic();
      if (now > this.#engine.startUntil) break;
      const chain = this.#parked.take(this.#engine, now) ?? this.#engine.take(now);
      if (!chain) break;
      this.#start(chain, now);
    }
    if (this.collecting.open.size > 0) this.#goOnCollecting();
    this.#filling = false;
  }

  /** Tells all running handlers to stop. */
  abort(reason: HowdahError): void {
    for (const slot of this.#running) slot.shutDown(reason);
  }

  /** Ends all attempts whose handlers still run, without waiting for them. Returns how many. */
  abandon(): number {
    const left = this.#running;
    for (const slot of left) slot.abandon();
    return left.length;
  }

  /** Whether a handler runs here that a chain has to wait for: one of the same queue or lane, or of the very same job. */
  holds(key: RunKey, { locksMore }: Chain): boolean {
    if (this.#busy.has(key)) return true;
    // A job without a queue or lane was released when its handler lost its slot, and may be tried again.
    if (!locksMore || this.#detached.size === 0) return false;
    return [...this.#detached].some((slot) => slot.key === key);
  }

  ended(slot: Slot): void {
    const { key, gathering } = slot;
    if (gathering) this.#leaveCall(slot, gathering);
    else this.#busy.delete(key);
  }

  detached(slot: Slot): void {
    this.ended(slot);
    this.#detached.add(slot);
  }

  gather(slot: Slot, task: GatherTask, now: number): void {
    const { chain } = slot;
    const gathering = this.collecting.alone(task);
    gathering.slots += 1;
    slot.gathering = gathering;
    slot.run(now);
    while (gathering.isOpen && now <= chain.freshUntil && chain.first?.task === task.identifier) {
      const job = chain.next();
      if (!job) break;
      const companion = new Slot(chain, job, this.#parts);
      companion.gathering = gathering;
      this.#companions.add(job, companion);
      companion.run(now);
    }
    gathering.close();
  }

  settledLate(slot: Slot): void {
    this.#detached.delete(slot);
  }

  left({ key }: Slot): void {
    // A chain that waited for this handler has ended with it when its jobs have gone back meanwhile.
    const last = this.#parked.settle(key);
    if (last) this.#engine.settledLate(last, true);
  }

  vacated(): void {
    this.fill();
    if (this.#busy.size === 0) this.#engine.idle();
  }

  /** All slots that are at work. */
  get #running(): Slot[] {
    return [...this.#busy.values(), ...this.#companions];
  }

  #slotOf(job: ClaimedJob): Slot | undefined {
    const slot = this.#busy.get(keyOf(job));
    if (!slot || slot.executionOf(job)) return slot;
    return this.#companions.find(slot.chain, job);
  }

  /** A slot has ended, or goes on without its place, which is free now or has another one of its call. */
  #leaveCall(slot: Slot, gathering: Gathering): void {
    const { key, chain } = slot;
    if (this.#companions.delete(slot.work.job, slot)) return;
    const heir = this.#companions.inherit(chain);
    if (heir) {
      this.#busy.set(key, heir);
    } else {
      this.#busy.delete(key);
      this.#leave(gathering);
    }
  }

  #start(chain: Chain, now: number): void {
    const { first } = chain;
    if (!first) return;
    const key = keyOf(first);
    const earlier = this.#busy.get(key);
    if (earlier) for (const slot of [earlier, ...this.#companions.of(earlier.chain)]) slot.loseToLaterClaim();
    if (earlier || (this.#detached.size > 0 && this.holds(key, chain))) return this.#park(key, chain);
    chain.next();
    const slot = new Slot(chain, first, this.#parts);
    this.#busy.set(key, slot);
    const { task, gather } = this.#context.tasks.get(first.task);
    if (!gather || !("runMany" in task)) slot.run(now);
    else if (chain.queueId === null) this.#startGathered(slot, task, { now, ...gather });
    else this.gather(slot, task, now);
  }

  /** Starts a job without a queue that is done together with others of its kind. */
  #startGathered(slot: Slot, task: GatherTask, { now, withinMs }: { now: number; withinMs: number }): void {
    const gathering = this.collecting.find(task, withinMs);
    if (gathering.slots > 0) this.#sharing += 1;
    gathering.slots += 1;
    slot.gathering = gathering;
    slot.run(now);
    if (!gathering.isOpen) this.collecting.close(task.identifier, gathering);
  }

  /** Without a free slot, calls that wait for more jobs take those at hand, and begin; others do so when their time is over. */
  #goOnCollecting(): void {
    for (const [identifier, gathering] of this.collecting.open) {
      const onlyOf = (chain: Chain, at: number): boolean =>
        chain.queueId === null && chain.first?.task === identifier && this.#engine.accepts(chain, at);
      const { withinMs = 0 } = this.#context.tasks.get(identifier).gather ?? {};
      while (gathering.isOpen && this.free === 0 && !this.#paused) {
        const now = this.#context.clock.monotonic();
        const chain = now > this.#engine.startUntil ? undefined : this.#engine.take(now, onlyOf);
        if (!chain) break;
        this.#start(chain, now);
      }
      if (!gathering.isOpen || withinMs === 0 || this.free === 0) this.collecting.close(identifier, gathering);
    }
  }

  /** A job of a call has ended. */
  #leave(gathering: Gathering): void {
    gathering.slots -= 1;
    if (gathering.slots > 0) this.#sharing -= 1;
  }

  /** Sets a chain aside until the handler that it waits for has settled. */
  #park(key: RunKey, chain: Chain): void {
    for (const job of this.#parked.add(key, chain)) returnUnstarted(job, true, this.#parts);
  }
}
