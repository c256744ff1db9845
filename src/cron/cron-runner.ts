import { HowdahError } from "../errors.ts";
import { isDropped, jobDropped } from "../job/add/prepare-and-add.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import { isRefused, isTransient, sqlStateOf } from "../postgres/sqlstate.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { type Loop, startLoop } from "../runtime/loop.ts";
import type { CronStore } from "./cron-store.ts";
import type { RecurringJob } from "./recurring-job.ts";
import { ScheduleTracks } from "./schedule-tracks.ts";
import { type AskedTick, askTick } from "./tick-call.ts";
import { beginningOf, type DueTick, dueTicks, type Track, trackFrom } from "./track.ts";
import { Troubles } from "./troubles.ts";

/**
 * Adds a job at every tick of a crontab and of the stored schedules, as long as
 * it runs. Any number of workers may do the same: the database decides which
 * one adds a tick. All ticks since the start are added, however late; a clock
 * that is set back adds nothing twice.
 */
export class CronRunner {
  readonly #context: CronContext;
  /** The entries of the worker's own crontab. */
  readonly #recurring: readonly RecurringJob[];
  readonly #store: CronStore;
  readonly #startMs: number;
  readonly #schedules: ScheduleTracks;
  #loop: Loop | undefined;
  readonly #troubles = new Troubles();
  /** The entries in trouble that are being tried concurrently with the rounds. */
  readonly #aside = new Set<string>();
  #beside = Promise.resolve();
  /** Refusals with a new reason that have not been reported. */
  readonly #news: { readonly recurring: RecurringJob; readonly error: unknown }[] = [];
  #entries: Map<string, Track> | undefined;
  /** How many consecutive rounds have failed because the server could not be reached, or ended them. */
  #cutOffs = 0;
  #isLate = false;
  /** Whether the current round has decided a tick. */
  #hasDecided = false;

  constructor(context: CronContext, recurring: readonly RecurringJob[], store: CronStore) {
    this.#context = context;
    this.#recurring = recurring;
    this.#store = store;
    this.#startMs = context.clock.now();
    this.#schedules = new ScheduleTracks(context, store, this.#startMs);
  }

  /** Begins to add. */
  start(): void {
    const { clock, reporter } = this.#context;
    this.#loop = startLoop({
      name: "cron",
      clock,
      round: () => this.#countedRound(),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("add the jobs of its crontab and schedules", error);
      },
    });
  }

  /** The stored schedules were changed. */
  schedulesChanged(): void {
    this.#schedules.invalidate();
    this.#loop?.wake();
  }

  /** Whether notifications of changes arrive; otherwise the schedules are polled. */
  listening(isUp: boolean): void {
    this.#schedules.listening(isUp);
    this.#loop?.wake();
  }

  /** Whether the worker is idle: then the stored schedules are read only when a change is notified. Ticks are added all the same. */
  resting(isResting: boolean): void {
    this.#schedules.resting(isResting);
    if (!isResting) this.#loop?.wake();
  }

  /** Resolves when the statement under way has ended. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
    await this.#beside;
  }

  async #countedRound(): Promise<number> {
    try {
      const restMs = await this.#round();
      this.#cutOffs = 0;
      return restMs;
    } catch (error) {
      this.#cutOffs += 1;
      throw error;
    } finally {
      this.#tellNews();
    }
  }

  async #round(): Promise<number> {
    const { clock } = this.#context;
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
    // Nothing was decided when every schedule was changed meanwhile, or is refused.
    return this.#hasDecided || this.#isMoreDue(due) ? 0 : LONGEST_REST_MS;
  }

  /** Whether others have become due while these were tried. */
  #isMoreDue(tried: readonly DueTick[]): boolean {
    const keys = new Set(tried.map(({ track }) => keyOf(track.recurring)));
    const nowMs = this.#context.clock.now();
    return this.#runnable().some(
      ({ recurring, nextMs }) => nextMs !== undefined && nextMs <= nowMs && !keys.has(keyOf(recurring)),
    );
  }

  async #register(): Promise<Map<string, Track>> {
    const entries = this.#recurring;
    if (entries.length === 0) return new Map();
    const startMs = this.#startMs;
    const ids = entries.map(({ id }) => id);
    const known = await this.#store.register(ids, startMs);
    return new Map(
      entries.map((entry) => {
        const { lastExecutionMs, knownSinceMs = startMs } = known.get(entry.id) ?? {};
        // A worker whose clock is ahead may have registered it at a time that is in the future here.
        const decidedMs = lastExecutionMs ?? Math.min(knownSinceMs, startMs) - 1;
        return [entry.id, trackFrom(entry, beginningOf({ ...entry, decidedMs, startMs }))];
      }),
    );
  }

  #tracks(): Track[] {
    return [...(this.#entries?.values() ?? []), ...this.#schedules.tracks()];
  }

  #runnable(): Track[] {
    const nowMs = this.#context.clock.monotonic();
    return this.#tracks().filter(({ recurring }) => {
      const key = keyOf(recurring);
      return !this.#aside.has(key) && !this.#troubles.rests(key, nowMs);
    });
  }

  #restMs(nowMs: number): number {
    const tracks = this.#tracks();
    if (tracks.length === 0) return this.#schedules.restMs();
    const nextMs = Math.min(...this.#runnable().map((track) => track.nextMs ?? Number.POSITIVE_INFINITY));
    return Math.max(1, Math.min(nextMs - nowMs, LONGEST_REST_MS, this.#schedules.restMs()));
  }

  /** Adds ticks of one source; those of a refused job are tried again later. */
  async #add(due: readonly DueTick[]): Promise<void> {
    const asked: AskedTick[] = [];
    for (const tick of due) {
      if (this.#rests(tick.track)) continue;
      try {
        asked.push(await askTick(tick, this.#context.hooks, this.#isBackfill(tick.tickMs)));
      } catch (error) {
        this.#refused(tick.track, error);
      }
    }
    const together = asked.filter(({ due }) => !this.#troubles.has(keyOf(due.track.recurring)));
    this.#addAside(asked.filter((tick) => !together.includes(tick)));
    if (together.length > 1 && (await this.#addTogether(together))) return;
    for (const tick of together) await this.#addAlone(tick);
  }

  /**
   * Adds ticks of jobs in trouble separately and concurrently with the rounds,
   * so that a slow trigger does not delay others.
   */
  #addAside(ticks: readonly AskedTick[]): void {
    if (ticks.length === 0) return;
    const keys = ticks.map(({ due }) => keyOf(due.track.recurring));
    for (const key of keys) this.#aside.add(key);
    this.#beside = this.#beside.then(async () => {
      for (const tick of ticks) await this.#addAlone(tick).catch(() => this.#postpone(tick));
      for (const key of keys) this.#aside.delete(key);
      this.#tellNews();
      this.#loop?.wake();
    });
  }

  /** The server cannot be reached, which the rounds detect as well. */
  #postpone({ due }: AskedTick): void {
    this.#troubles.postponed(keyOf(due.track.recurring), this.#context.clock.monotonic());
  }

  /** Returns false when the server refuses one of them for any reason: then nothing was stored. */
  async #addTogether(asked: readonly AskedTick[]): Promise<boolean> {
    try {
      this.#decided(await this.#storeTicks(asked), asked);
      return true;
    } catch (error) {
      if (!(await this.#isAway(error))) return false;
      for (const { call } of asked) call?.ended({ error });
      throw error;
    }
  }

  async #addAlone(tick: AskedTick): Promise<void> {
    const { due, call } = tick;
    if (this.#rests(due.track)) {
      call?.ended({ error: new HowdahError("HOWDAH_JOB_SKIPPED", "An earlier tick has to be added first.") });
      return;
    }
    try {
      this.#decided(await this.#storeTicks([tick]), [tick]);
      this.#troubles.added(keyOf(due.track.recurring));
    } catch (error) {
      if (isDropped(error)) return this.#dropped(tick, error);
      call?.ended({ error });
      if (await this.#isAway(error, due.track)) throw error;
      this.#refused(due.track, error);
    }
  }

  /** A trigger prevents the job from being stored, and would do so again: the tick is marked as done without it. */
  async #dropped(tick: AskedTick, cause: Error): Promise<void> {
    const { recurring } = tick.due.track;
    const at = new Date(tick.due.tickMs).toISOString();
    const reason = "A trigger on the jobs table prevented the job of a tick from being stored.";
    const error = jobDropped(`${reason} The tick of ${at} counts as done.`, cause);
    tick.call?.ended({ error });
    const marked = { ...tick, tick: { ...tick.tick, payload: null }, call: undefined };
    try {
      this.#decided(await this.#storeTicks([marked]), [marked]);
    } catch (failure) {
      if (await this.#isAway(failure)) throw failure;
      return this.#refused(tick.due.track, failure);
    }
    if (this.#troubles.dropped(keyOf(recurring), reason)) this.#news.push({ recurring, error });
  }

  /**
   * Whether the server could not be reached: then the tick is not the cause of the failure. When the server itself reports that repeatedly, but answers other statements, a trigger raises the error.
   */
  async #isAway(error: unknown, track?: Track): Promise<boolean> {
    if (!isTransient(error) || isRefused(error)) return false;
    if (sqlStateOf(error) === undefined) return true;
    const isKnown = track !== undefined && this.#troubles.has(keyOf(track.recurring));
    if (!isKnown && this.#cutOffs < MOST_CUT_OFFS) return true;
    return this.#store.listSchedules().then(
      () => false,
      () => true,
    );
  }

  #rests({ recurring }: Track): boolean {
    return this.#troubles.rests(keyOf(recurring), this.#context.clock.monotonic());
  }

  #refused({ recurring }: Track, error: unknown): void {
    const nowMs = this.#context.clock.monotonic();
    if (this.#troubles.refused(keyOf(recurring), errorMessage(error), nowMs)) this.#news.push({ recurring, error });
  }

  /** One line for each reason, however many entries it is for. */
  #tellNews(): void {
    const all = this.#news.splice(0).map(({ recurring: { source, id }, error }) => {
      return { source, id, error, reason: `${source} ${errorMessage(error)}` };
    });
    for (const reason of new Set(all.map((news) => news.reason))) {
      const [first, ...others] = all.filter((news) => news.reason === reason);
      if (!first) continue;
      const ids = [first, ...others].map(({ id }) => JSON.stringify(id)).join(", ");
      const entries = `${first.source} ${others.length === 0 ? "entry" : "entries"} ${ids}`;
      this.#context.reporter.failure(
        others.length === 0 ? `add a job of ${entries}` : `add jobs of ${entries}`,
        first.error,
      );
    }
  }

  /** The ids of the jobs, in order: null when another worker was first, `undefined` when the tick was not decided. */
  async #storeTicks(asked: readonly AskedTick[]): Promise<(string | null | undefined)[]> {
    const ticks = asked.map(({ tick }) => tick);
    if (asked[0]?.due.track.recurring.source === "crontab") return this.#store.addTicks(ticks);
    const results = await this.#store.addScheduleTicks(ticks);
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
    const { hooks, identity } = this.#context;
    const workerId = identity.current;
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
      hooks.emit("jobAdd", { task: recurring.job.identifier, jobId });
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
    this.#context.logger.warn("Jobs of the crontab are late and are added now", {
      worker: this.#context.identity.current,
      since: new Date(late.tickMs),
    });
  }
}

type CronContext = Pick<WorkerContext, "clock" | "hooks" | "logger" | "identity" | "reporter" | "tasks">;

/** How many ticks are added at once; a larger backlog takes several statements. */
const MOST_TICKS = 200;
/** The clock may be set while nothing is due, which no timer notices. */
const LONGEST_REST_MS = 1_000;
/** Up to this number of consecutive rounds that the server ends, the cause is assumed to be the server. */
const MOST_CUT_OFFS = 2;
/** Later ticks than this are logged. */
const LATE_MS = 60_000;

function keyOf({ source, id }: RecurringJob): string {
  return `${source} ${id}`;
}
