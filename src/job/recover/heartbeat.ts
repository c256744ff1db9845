import type { Clock, Timer } from "../../runtime/clock.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";

/** What a heartbeat needs, and whom it tells. None of these may throw. */
export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly heartbeatIntervalMs: number;
  readonly contactTimeoutMs: number;
  /** The ids under which this worker claims, or holds jobs. */
  ids(): readonly string[];
  /** True while the worker should listen and cannot: then it beats more often. */
  isDeaf(): boolean;
  /** Registers ids. Rejects when the database does not take it. */
  register(ids: readonly string[]): Promise<void>;
  /** Says that they live, and will again in `nextMs` unless woken. Resolves to those that are still registered. */
  beat(ids: readonly string[], nextMs: number): Promise<ReadonlySet<string>>;
  /** These ids were declared dead, or removed. */
  swept(ids: ReadonlySet<string>): void;
  /** No heartbeat has succeeded for `contactTimeout`; told again every second while that lasts. */
  outOfContact(silentMs: number): void;
  /** A heartbeat was answered. */
  heard?(): void;
  /** A heartbeat failed, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
}

/** While a worker is deaf, or out of contact, it tries so often. */
const URGENT_MS = 1_000;

/**
 * Says again and again that a worker lives, and knows for how long nobody has
 * heard that: from when the last heartbeat was sent that succeeded. Others
 * cannot have seen a later one.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #registered = new Set<string>();
  #contactAt: number;
  #contactTimer: Timer | undefined;
  #loop: Loop | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#contactAt = options.clock.monotonic();
  }

  /** When the last heartbeat was sent that was answered. */
  get contactAt(): number {
    return this.#contactAt;
  }

  /** For how long no heartbeat has been heard of. */
  get silentMs(): number {
    return this.#options.clock.monotonic() - this.#contactAt;
  }

  /**
   * Registers, so that nothing is claimed under an id that nobody knows, and
   * begins to beat. Resolves when that is done or has failed once; then it is
   * tried again in the background.
   */
  async start(): Promise<void> {
    const { clock, heartbeatIntervalMs, failed } = this.#options;
    this.#contactAt = clock.monotonic();
    let isFirst = true;
    const firstRound = new Promise<void>((resolve) => {
      this.#loop = startLoop({
        name: "heartbeat",
        clock,
        backoff: { firstMs: 100, maxMs: Math.min(URGENT_MS, heartbeatIntervalMs) },
        round: async () => {
          try {
            return await this.#round();
          } finally {
            if (isFirst) resolve();
            isFirst = false;
          }
        },
        onError(error, { failures }) {
          if (failures === 1) failed(error);
        },
      });
    });
    this.#watchContact();
    await firstRound;
  }

  /** Ends it; what is registered stays so. */
  async stop(): Promise<void> {
    this.#contactTimer?.cancel();
    await this.#loop?.stop();
    this.#contactTimer?.cancel();
  }

  /** Beats now: something has changed that others shall know. */
  wake(): void {
    this.#loop?.wake();
  }

  async #round(): Promise<number> {
    const { clock, ids, register, beat, swept } = this.#options;
    const sentAt = clock.monotonic();
    const living = ids();
    const fresh = living.filter((id) => !this.#registered.has(id));
    if (fresh.length > 0) await register(fresh);
    for (const id of fresh) this.#registered.add(id);
    const alive = await beat(living, this.#restMs);
    // One that the worker has given up meanwhile need not be registered any more.
    const dead = ids().filter((id) => living.includes(id) && !alive.has(id));
    for (const id of this.#registered) if (!alive.has(id)) this.#registered.delete(id);
    this.#contactAt = sentAt;
    this.#watchContact();
    if (dead.length > 0) swept(new Set(dead));
    this.#options.heard?.();
    const restMs = this.#restMs;
    // Another id may have taken the place of one that was swept.
    return ids().every((id) => this.#registered.has(id)) ? restMs : 0;
  }

  get #restMs(): number {
    const { heartbeatIntervalMs, isDeaf } = this.#options;
    return isDeaf() ? Math.min(URGENT_MS, heartbeatIntervalMs) : heartbeatIntervalMs;
  }

  #watchContact(isExcused = false): void {
    const { clock, contactTimeoutMs, outOfContact } = this.#options;
    this.#contactTimer?.cancel();
    const dueAt = this.#contactAt + contactTimeoutMs;
    const graceMs = Math.min(2 * URGENT_MS, contactTimeoutMs / 4);
    const inMs = isExcused ? graceMs : Math.max(0, dueAt - clock.monotonic());
    this.#contactTimer = clock.setTimer(
      inMs,
      () => {
        // A process that stood still hears first whether anybody has missed it.
        if (!isExcused && clock.monotonic() - dueAt > graceMs) {
          this.wake();
          return this.#watchContact(true);
        }
        this.#contactTimer = clock.setTimer(Math.min(URGENT_MS, contactTimeoutMs), () => this.#watchContact(), true);
        outOfContact(this.silentMs);
      },
      true,
    );
  }
}
