/** Watches a source and calls `tell` with what comes of it. Returns the end of that. */
export type StartWatch<Source, Event> = (source: Source, tell: (event: Event) => void) => () => void;

/** How a watch is shared. */
export interface SharedWatchOptions {
  /** True when all of those who wait are told of the first event, and of no other. */
  readonly once: boolean;
}

/**
 * Shares one watch of a source among all who want to be told, however many they
 * are: it begins with the first of them and ends with the last. Those who came
 * first are told first. Returns how to join; that returns how to leave.
 */
export function sharedWatch<Source extends object, Event>(
  start: StartWatch<Source, Event>,
  { once }: SharedWatchOptions,
): (source: Source, told: (event: Event) => void) => () => void {
  const watches = new WeakMap<Source, Watch<Event>>();
  return (source, told) => {
    const watch = watches.get(source) ?? new Watch<Event>((tell) => start(source, tell), once);
    watches.set(source, watch);
    return watch.join(told);
  };
}

class Watch<Event> {
  readonly #start: (tell: (event: Event) => void) => () => void;
  readonly #once: boolean;
  /** Objects of our own, so that one function may join twice. */
  readonly #members = new Set<{ readonly told: (event: Event) => void }>();
  #end: (() => void) | undefined;

  constructor(start: (tell: (event: Event) => void) => () => void, once: boolean) {
    this.#start = start;
    this.#once = once;
  }

  join(told: (event: Event) => void): () => void {
    const member = { told };
    this.#members.add(member);
    this.#end ??= this.#start((event) => this.#tell(event));
    return () => this.#leave(member);
  }

  #tell(event: Event): void {
    const members = [...this.#members];
    // Before any is told: what one of them does then meets the source as it was.
    if (this.#once) for (const member of members) this.#leave(member);
    for (const { told } of members) told(event);
  }

  #leave(member: { readonly told: (event: Event) => void }): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#end?.();
    this.#end = undefined;
  }
}
