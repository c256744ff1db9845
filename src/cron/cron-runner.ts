import { HowdahError } from "../errors.ts";
import type { HookEmitter } from "../hooks/hooks.ts";
import { isTransient } from "../postgres/sqlstate.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Loop, startLoop } from "../runtime/loop.ts";
import type { CronStore } from "./cron-store.ts";
import type { RecurringJob } from "./recurring-job.ts";
import { ScheduleTracks } from "./schedule-tracks.ts";
import { type AskedTick, askTick } from "./tick-call.ts";
import { beginningOf, type DueTick, dueTicks, type Track, trackFrom } from "./track.ts";

/** What a runner is built of. */
export interface CronRunnerParts {
  /** The worker's present id. */
  workerId(): string;
  readonly clock: Clock;
  readonly hooks: HookEmitter;
  readonly logger: Logger;
  readonly store: CronStore;
  /** The entries of the worker's own crontab. */
  readonly entries: readonly RecurringJob[];
  /** The identifiers of the tasks that the worker runs. */
  readonly tasks: readonly string[];
  /** Told of what fails; the runner goes on. */
  failed(activity: string, error: unknown): void;
}

/** How many ticks are added at once; what is behind takes several statements. */
const MOST_TICKS = 200;
/** Someone may set the clock while nothing is due, which no timer notices. */
const LONGEST_REST_MS = 1_000;
/** A job that cannot be stored must not hold up the others. */
const BLOCKED_MS = 60_000;
/** From when on it is worth a line in the log. */
const LATE_MS = 60_000;

/**
 * Adds a job at every tick of a crontab and of the stored schedules, as long as
 * it runs. Any number of workers may do the same: the database decides who adds
 * a tick. Whatever came due since the start is added, however late; a clock that
 * goes back adds nothing twice.
 */
export class CronRunner {
  readonly #parts: CronRunnerParts;
  readonly #startMs: number;
  readonly #schedules: ScheduleTracks;
  readonly #loop: Loop;
  /** Until when a recurring job is left alone, by the monotonic clock. */
  readonly #blockedUntil = new Map<string, number>();
  #entries: Map<string, Track> | undefined;
  #isLate = false;
  /** Whether the present round has decided a tick. */
  #hasDecided = false;

  constructor(parts: CronRunnerParts) {
    this.#parts = parts;
    this.#startMs = parts.clock.now();
    this.#schedules = new ScheduleTracks({ ...parts, startMs: this.#startMs });
    this.#loop = startLoop({
      name: "cron",
      clock: parts.clock,
      round: () => this.#round(),
      onError: (error, { failures }) => {
        if (failures === 1) parts.failed("add the jobs of its crontab and schedules", error);
      },
    });
  }

  /** Somebody changed the stored schedules. */
  schedulesChanged(): void {
    this.#schedules.invalidate();
    this.#loop.wake();
  }

  /** Whether changes are announced now; otherwise they are looked for. */
  listening(isUp: boolean): void {
    this.#schedules.listening(isUp);
    this.#loop.wake();
  }

  /** Resolves when the statement under way has ended. */
  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #round(): Promise<number> {
    const { clock } = this.#parts;
    this.#entries ??= await this.#register();
    await this.#schedules.refresh();
    const nowMs = clock.now();
    const due = dueTicks(this.#runnable(), nowMs, MOST_TICKS);
    if (due.length === 0) {
      this.#isLate = false;
      return this.#restMs(nowMs);
    }
    this.#sayLate(due, nowMs);
    this.#hasDecided = false;
    await this.#add(due.filter(({ track }) => track.recurring.source === "crontab"));
    await this.#add(due.filter(({ track }) => track.recurring.source === "schedule"));
    // Nothing was decided when every schedule was changed meanwhile, or cannot be added to.
    return this.#hasDecided ? 0 : LONGEST_REST_MS;
  }

  async #register(): Promise<Map<string, Track>> {
    const { entries, store } = this.#parts;
    if (entries.length === 0) return new Map();
    const startMs = this.#startMs;
    const ids = entries.map(({ id }) => id);
    const known = await store.register(ids, startMs);
    return new Map(
      entries.map((entry) => {
        const { lastExecutionMs, knownSinceMs = startMs } = known.get(entry.id) ?? {};
        // A worker whose clock is ahead may have made it known, in what is the future here.
        const decidedMs = lastExecutionMs ?? Math.min(knownSinceMs, startMs) - 1;
        return [entry.id, trackFrom(entry, beginningOf({ ...entry, decidedMs, startMs }))];
      }),
    );
  }

  #tracks(): Track[] {
    return [...(this.#entries?.values() ?? []), ...this.#schedules.tracks()];
  }

  #runnable(): Track[] {
    const nowMs = this.#parts.clock.monotonic();
    return this.#tracks().filter(({ recurring }) => (this.#blockedUntil.get(keyOf(recurring)) ?? 0) <= nowMs);
  }

  #restMs(nowMs: number): number {
    const tracks = this.#tracks();
    if (tracks.length === 0) return this.#schedules.restMs();
    const nextMs = Math.min(...this.#runnable().map((track) => track.nextMs ?? Number.POSITIVE_INFINITY));
    return Math.max(1, Math.min(nextMs - nowMs, LONGEST_REST_MS, this.#schedules.restMs()));
  }

  /** Adds ticks of one source; those of a job that cannot be stored stay behind and are tried again later. */
  async #add(due: readonly DueTick[]): Promise<void> {
    const asked: AskedTick[] = [];
    for (const tick of due) {
      if (this.#isBlocked(tick.track)) continue;
      try {
        asked.push(await askTick(tick, this.#parts.hooks, this.#isBackfill(tick.tickMs)));
      } catch (error) {
        this.#block(tick.track, error);
      }
    }
    await this.#addAsked(asked);
  }

  async #addAsked(asked: readonly AskedTick[]): Promise<void> {
    const runnable = asked.filter(({ due: { track }, call }) => {
      if (!this.#isBlocked(track)) return true;
      call?.ended({ error: new HowdahError("HOWDAH_JOB_SKIPPED", "An earlier tick has to be added first.") });
      return false;
    });
    if (runnable.length === 0) return;
    try {
      this.#decided(await this.#store(runnable), runnable);
    } catch (error) {
      const [only, ...others] = runnable;
      if (isTransient(error) || others.length === 0) for (const { call } of runnable) call?.ended({ error });
      if (isTransient(error)) throw error;
      if (others.length > 0) for (const tick of runnable) await this.#addAsked([tick]);
      else if (only) this.#block(only.due.track, error);
    }
  }

  #isBlocked(track: Track): boolean {
    return this.#blockedUntil.has(keyOf(track.recurring)) && !this.#unblock(track);
  }

  /** True when the time is over for which a job was left alone. */
  #unblock({ recurring }: Track): boolean {
    const key = keyOf(recurring);
    if ((this.#blockedUntil.get(key) ?? 0) > this.#parts.clock.monotonic()) return false;
    return this.#blockedUntil.delete(key);
  }

  #block({ recurring }: Track, error: unknown): void {
    this.#blockedUntil.set(keyOf(recurring), this.#parts.clock.monotonic() + BLOCKED_MS);
    this.#parts.failed(`add a job of ${recurring.source} entry ${JSON.stringify(recurring.id)}`, error);
  }

  /** The ids of the jobs, in order: null when another worker was first, `undefined` when nothing was decided. */
  async #store(asked: readonly AskedTick[]): Promise<(string | null | undefined)[]> {
    const { store } = this.#parts;
    const ticks = asked.map(({ tick }) => tick);
    if (asked[0]?.due.track.recurring.source === "crontab") return store.addTicks(ticks);
    const results = await store.addScheduleTicks(ticks);
    if (results.some(({ hasChanged }) => hasChanged)) this.schedulesChanged();
    return results.map(({ jobId, hasChanged }) => (hasChanged ? undefined : jobId));
  }

  #decided(jobIds: readonly (string | null | undefined)[], asked: readonly AskedTick[]): void {
    const decided = asked.flatMap(({ due: { track, tickMs }, call }, index) => {
      const jobId = jobIds[index];
      call?.ended({ jobIds: jobId == null ? [] : [jobId] });
      return jobId === undefined ? [] : [{ recurring: track.recurring, tickMs, jobId }];
    });
    this.#hasDecided ||= decided.length > 0;
    for (const { recurring, tickMs } of decided) {
      if (recurring.source === "crontab") this.#entries?.set(recurring.id, trackFrom(recurring, tickMs));
      else this.#schedules.decided(recurring.id, tickMs);
    }
    this.#tell(decided);
  }

  #tell(decided: readonly { recurring: RecurringJob; tickMs: number; jobId: string | null }[]): void {
    const { hooks } = this.#parts;
    const workerId = this.#parts.workerId();
    const crontab = ({ id, source, job }: RecurringJob) => ({ id, source, task: job.identifier });
    if (hooks.has("cronTick")) {
      for (const tickMs of new Set(decided.map((tick) => tick.tickMs))) {
        const crontabs = decided.filter((tick) => tick.tickMs === tickMs).map(({ recurring }) => crontab(recurring));
        hooks.emit("cronTick", { workerId, timestamp: new Date(tickMs), crontabs });
      }
    }
    for (const { recurring, tickMs, jobId } of decided) {
      if (jobId === null) continue;
      const backfilled = this.#isBackfill(tickMs);
      const scheduledAt = new Date(tickMs);
      hooks.emit("cronJobScheduled", { workerId, crontab: crontab(recurring), scheduledAt, jobId, backfilled });
    }
  }

  #isBackfill(tickMs: number): boolean {
    return tickMs < this.#startMs;
  }

  #sayLate(due: readonly DueTick[], nowMs: number): void {
    const late = due.find(({ tickMs }) => !this.#isBackfill(tickMs) && tickMs < nowMs - LATE_MS);
    if (!late || this.#isLate) return;
    this.#isLate = true;
    this.#parts.logger.warn("Jobs of the crontab are late and are added now", {
      worker: this.#parts.workerId(),
      since: new Date(late.tickMs),
    });
  }
}

function keyOf({ source, id }: RecurringJob): string {
  return `${source} ${id}`;
}
