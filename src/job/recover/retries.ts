import type { Clock } from "../../runtime/clock.ts";

/** When something that could not be finished is tried again: each time after twice as long, up to a limit. */
export class Retries {
  readonly #clock: Clock;
  readonly #limits: { readonly firstMs: number; readonly maxMs: number };
  readonly #pending = new Map<string, { readonly dueAt: number; readonly restMs: number }>();

  constructor(clock: Clock, limits: { readonly firstMs: number; readonly maxMs: number }) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Whether it may be tried now. */
  isDue(name: string): boolean {
    const pending = this.#pending.get(name);
    return !pending || this.#clock.monotonic() >= pending.dueAt;
  }

  /** It could not be finished. */
  later(name: string): void {
    const { firstMs, maxMs } = this.#limits;
    const before = this.#pending.get(name);
    const restMs = before ? Math.min(2 * before.restMs, maxMs) : firstMs;
    this.#pending.set(name, { dueAt: this.#clock.monotonic() + restMs, restMs });
  }

  /** It is finished. */
  done(name: string): void {
    this.#pending.delete(name);
  }

  /** Forgets everything that is not among these. */
  keepOnly(names: ReadonlyMap<string, unknown>): void {
    for (const name of this.#pending.keys()) if (!names.has(name)) this.#pending.delete(name);
  }
}
