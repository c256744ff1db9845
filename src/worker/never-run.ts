/** Where it is learnt that the process has nothing left to do: `process`, or something like it. */
export interface ExitSource {
  on(event: "beforeExit", listener: () => void): unknown;
  removeListener(event: "beforeExit", listener: () => void): unknown;
}

/** Those who are told, by the source that they watch: one listener a source, however many workers a process has. */
const watches = new WeakMap<ExitSource, Watch>();

/**
 * Calls `forgotten` when the process is about to end because it has nothing
 * left to do, unless the returned function was called before. Keeps no process
 * alive, and is silent when one is ended by a signal or by `process.exit()`.
 */
export function onNeverRun(forgotten: () => void, source: ExitSource = process): () => void {
  const watch = watches.get(source) ?? new Watch(source);
  watches.set(source, watch);
  return watch.add(forgotten);
}

class Watch {
  readonly #source: ExitSource;
  readonly #told = new Set<{ readonly forgotten: () => void }>();
  /** The event comes again when a listener finds the process something to do, so each is told once. */
  readonly #listener = (): void => {
    const told = [...this.#told];
    for (const each of told) this.#remove(each);
    for (const { forgotten } of told) forgotten();
  };

  constructor(source: ExitSource) {
    this.#source = source;
  }

  add(forgotten: () => void): () => void {
    if (this.#told.size === 0) this.#source.on("beforeExit", this.#listener);
    const added = { forgotten };
    this.#told.add(added);
    return () => this.#remove(added);
  }

  #remove(added: { readonly forgotten: () => void }): void {
    if (this.#told.delete(added) && this.#told.size === 0) {
      this.#source.removeListener("beforeExit", this.#listener);
    }
  }
}
