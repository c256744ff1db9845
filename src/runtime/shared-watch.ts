/**
 * Shares one watch of a source among any number of members: it begins with the
 * first member and ends with the last. Members are called in the order in which
 * they joined. Returns a function that joins, which returns a function that
 * leaves.
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

/** Watches a source and calls `tell` with each event. Returns a function that ends the watch. */
export type StartWatch<Source, Event> = (source: Source, tell: (event: Event) => void) => () => void;

/** Options of {@link sharedWatch}. */
export interface SharedWatchOptions {
  /** True when all members receive the first event, and no other. */
  readonly once: boolean;
}

class Watch<Event> {
  readonly #start: (tell: (event: Event) => void) => () => void;
  readonly #once: boolean;
  /** Separate objects, so that one function may join twice. */
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
    // Before any is called: a member may join again, or act on the source, which must be unwatched then.
    if (this.#once) for (const member of members) this.#leave(member);
    for (const { told } of members) told(event);
  }

  #leave(member: { readonly told: (event: Event) => void }): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#end?.();
    this.#end = undefined;
  }
}
