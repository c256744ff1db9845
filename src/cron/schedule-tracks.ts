import type { WorkerContext } from "../job/worker-context.ts";
import type { CronStore } from "./cron-store.ts";
import { type StoredSchedule, toRecurringJob } from "./stored-schedule.ts";
import { beginningOf, restingTrack, type Track, trackFrom } from "./track.ts";

/** The stored schedules and their ticks, as one worker follows them. */
export class ScheduleTracks {
  readonly #context: TracksContext;
  readonly #store: TracksStore;
  /** When the worker started. */
  readonly #startMs: number;
  readonly #tracks = new Map<string, Track>();
  /** When to read them again, by the monotonic clock. */
  #refreshAt = 0;
  #seenAt = Number.NEGATIVE_INFINITY;
  #isAnnounced = false;
  #isResting = false;
  #isFailing = false;
  /** Since when no worker has known the task of a schedule, and whether that was logged. */
  readonly #unknown = new Map<string, { readonly sinceMs: number; wasSaid: boolean }>();
  /** The versions of schedules that cannot be read. */
  readonly #unreadable = new Set<string>();

  constructor(context: TracksContext, store: TracksStore, startMs: number) {
    this.#context = context;
    this.#store = store;
    this.#startMs = startMs;
  }

  /** By the ids of their schedules. */
  tracks(): Iterable<Track> {
    return this.#tracks.values();
  }

  /** All ticks of a schedule up to this one are decided. */
  decided(id: string, tickMs: number): void {
    const track = this.#tracks.get(id);
    if (track) this.#tracks.set(id, trackFrom(track.recurring, tickMs, track.version));
  }

  /** The next refresh reads them again. */
  invalidate(): void {
    this.#refreshAt = 0;
  }

  /** Whether notifications arrive from now on. Earlier changes may have been missed. */
  listening(isUp: boolean): void {
    this.#isAnnounced = isUp;
    this.invalidate();
  }

  /** Whether they are read only when a change is notified; the end of that reads them again. */
  resting(isResting: boolean): void {
    if (this.#isResting && !isResting) this.invalidate();
    else if (isResting && this.#refreshAt > 0) this.#refreshAt = Number.POSITIVE_INFINITY;
    this.#isResting = isResting;
  }

  /** How long nothing has to be read. */
  restMs(): number {
    return Math.max(0, this.#refreshAt - this.#context.clock.monotonic());
  }

  /** Reads them when it is time to. Never rejects. */
  async refresh(): Promise<void> {
    const { clock } = this.#context;
    if (clock.monotonic() < this.#refreshAt) return;
    // Set before the read: a change during it is notified and causes another read.
    this.#refreshAt = clock.monotonic() + this.#intervalMs;
    try {
      const schedules = await this.#store.listSchedules();
      this.#follow(schedules);
      await this.#lookAfterTasks(schedules);
      this.#isFailing = false;
    } catch (error) {
      this.#refreshAt = clock.monotonic() + RETRY_MS;
      if (!this.#isFailing) this.#context.reporter.failure("read the stored schedules", error);
      this.#isFailing = true;
    }
  }

  get #intervalMs(): number {
    if (this.#isResting) return Number.POSITIVE_INFINITY;
    return this.#isAnnounced ? REFRESH_MS : POLL_MS;
  }

  #follow(schedules: readonly StoredSchedule[]): void {
    const ids = new Set(schedules.map(({ id }) => id));
    for (const id of this.#tracks.keys()) if (!ids.has(id)) this.#tracks.delete(id);
    for (const schedule of schedules) {
      const before = this.#tracks.get(schedule.id);
      if (before?.version === schedule.version) continue;
      const track = this.#toTrack(schedule, before);
      if (track) this.#tracks.set(schedule.id, track);
      else this.#tracks.delete(schedule.id);
    }
  }

  /** A changed schedule continues from its last tick; a new one starts with its missed ticks. */
  #toTrack(schedule: StoredSchedule, before: Track | undefined): Track | undefined {
    const { sinceMs, lastTick, version } = schedule;
    try {
      const recurring = toRecurringJob(schedule);
      const decidedMs = Math.max(sinceMs - 1, lastTick?.getTime() ?? Number.NEGATIVE_INFINITY);
      const startMs = this.#startMs;
      const cursorMs = before
        ? Math.max(before.cursorMs, decidedMs)
        : beginningOf({ ...recurring, decidedMs, startMs });
      if (schedule.pausedAt === null) return trackFrom(recurring, cursorMs, version);
      if (schedule.pausedUntil === null) return restingTrack(recurring, cursorMs, version);
      return trackFrom(recurring, Math.max(cursorMs, schedule.pausedUntil.getTime() - 1), version);
    } catch (error) {
      if (!this.#unreadable.has(version))
        this.#context.reporter.failure(`read the schedule ${JSON.stringify(schedule.id)}`, error);
      this.#unreadable.add(version);
      return undefined;
    }
  }

  /** Reports the tasks that are known here, and warns of those that no worker knows. */
  async #lookAfterTasks(schedules: readonly StoredSchedule[]): Promise<void> {
    const { clock, tasks } = this.#context;
    const nowMs = clock.monotonic();
    const known = schedules.filter(({ task }) => tasks.find(task) !== undefined);
    if (known.some(({ hasBeenSeen }) => !hasBeenSeen) || (known.length > 0 && nowMs - this.#seenAt >= SEEN_MS)) {
      this.#seenAt = nowMs;
      await this.#store.seeTasks([...new Set(known.map(({ task }) => task))], SEEN_MS / 2);
    }
    for (const schedule of schedules) this.#warnOfUnknown(schedule, nowMs);
  }

  #warnOfUnknown({ id, task, isTaskKnown }: StoredSchedule, nowMs: number): void {
    const { tasks, logger } = this.#context;
    if (isTaskKnown || tasks.find(task) !== undefined) {
      this.#unknown.delete(id);
      return;
    }
    const unknown = this.#unknown.get(id) ?? { sinceMs: nowMs, wasSaid: false };
    this.#unknown.set(id, unknown);
    if (unknown.wasSaid || nowMs - unknown.sinceMs < UNKNOWN_MS) return;
    unknown.wasSaid = true;
    logger.warn("A schedule adds jobs of a task that no running worker knows", { schedule: id, task });
  }
}

type TracksContext = Pick<WorkerContext, "clock" | "logger" | "reporter" | "tasks">;
type TracksStore = Pick<CronStore, "listSchedules" | "seeTasks">;

/** How often to read the schedules although changes are notified, in case a notification is lost. */
const REFRESH_MS = 60_000;
/** How often to read them without notifications, to see changes within two seconds. */
const POLL_MS = 1_500;
/** When to try again after a failed read; the crontab goes on meanwhile. */
const RETRY_MS = 10_000;
/** How often a worker reports that it knows the task of a schedule. */
const SEEN_MS = 60_000;
/** How long a task may be unknown to all workers before that is logged. */
const UNKNOWN_MS = 60_000;
