import { type ReadonlySignal, signal } from "@preact/signals";
import type { PageClock } from "../clock.ts";
import type { News } from "./live.ts";
import { type Problem, problemOf, toProblem } from "./problem.ts";
import { dataOf, nextState, retryDelayMs, SKELETON_MS, SLOW_MS, UNASKED, type ViewEvent, type ViewState } from "./view-state.ts";

/** Something that the page reads, and what it knows of it. Requests do not overlap: the newest counts. */
export class Resource<T> {
  readonly #state = signal<ViewState<T>>(UNASKED);
  readonly #clock: PageClock;
  readonly #read: (signal: AbortSignal) => Promise<T>;
  #running: AbortController | undefined;
  #cancelRetry: (() => void) | undefined;
  #failures = 0;
  #users = 0;

  constructor(clock: PageClock, read: (signal: AbortSignal) => Promise<T>) {
    this.#clock = clock;
    this.#read = read;
  }

  get state(): ReadonlySignal<ViewState<T>> {
    return this.#state;
  }

  /** A view that shows it begins; it ends with what is returned. Without one there are no more requests. */
  use(): () => void {
    this.#users += 1;
    return () => {
      this.#users -= 1;
      if (this.#users > 0) return;
      this.#cancelRetry?.();
      this.#running?.abort();
      this.#running = undefined;
    };
  }

  /** Whether a view shows it. */
  get isUsed(): boolean {
    return this.#users > 0;
  }

  /** Asks now, unless a request is under way. */
  load(): void {
    if (this.#running === undefined) this.reload();
  }

  /** Asks now; a request that is under way is given up. */
  reload(): void {
    this.#running?.abort();
    this.#cancelRetry?.();
    const request = new AbortController();
    this.#running = request;
    this.#apply({ type: "asked" });
    const waits = [SKELETON_MS, SLOW_MS].map((ms) => this.#clock.after(ms, () => this.#apply({ type: "waited", ms })));
    const isOver = (): boolean => {
      for (const cancel of waits) cancel();
      const isCurrent = this.#running === request;
      if (isCurrent) this.#running = undefined;
      return !isCurrent;
    };
    this.#read(request.signal).then(
      (data) => isOver() || this.set(data),
      (error: unknown) => isOver() || this.#fail(toProblem(error)),
    );
  }

  /** What is known from elsewhere: the stream, or the answer to a change. */
  set(data: T): void {
    this.#failures = 0;
    this.#apply({ type: "answered", data, at: this.#clock.now() });
  }

  /** What the stream tells: new data, that nothing changed, or that it could not be read. */
  hear(news: News | undefined): void {
    if (news === undefined) return this.load();
    if (news.problem !== undefined) return this.#fail(problemOf(statusOf(news.problem), news.problem));
    const data = news.body === undefined ? dataOf(this.#state.peek()) : (news.body as T);
    if (data === undefined) return this.load();
    this.set(withAge(data, news.asOf));
  }

  #fail(problem: Problem): void {
    this.#failures += 1;
    const delay = retryDelayMs(this.#failures);
    this.#apply({ type: "failed", problem, retryAt: this.#clock.now() + delay });
    // What was answered is not asked again; a slow database is asked by people only.
    const isTransient = problem.kind === "unreachable" || problem.kind === "failed";
    if (isTransient && this.#users > 0) this.#cancelRetry = this.#clock.after(delay, () => this.load());
  }

  #apply(event: ViewEvent<T>): void {
    this.#state.value = nextState(this.#state.peek(), event);
  }
}

/** What has not changed is as old as the last look at it. */
function withAge<T>(data: T, asOf: string): T {
  return typeof data === "object" && data !== null && "asOf" in data ? { ...data, asOf } : data;
}

function statusOf(problem: unknown): number {
  const status = (problem as { readonly status?: unknown } | null)?.status;
  return typeof status === "number" ? status : 500;
}
