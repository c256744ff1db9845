const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

type Received = (signal: NodeJS.Signals) => void;

/** Where signals come from: `process`, or something like it. */
export interface SignalSource {
  once(signal: NodeJS.Signals, listener: Received): unknown;
  removeListener(signal: NodeJS.Signals, listener: Received): unknown;
}

/** Those who are told, by the source that they watch: one listener a source, however many workers a process has. */
const watches = new WeakMap<SignalSource, Watch>();

/**
 * Calls `received` at the first signal that asks the process to end. After
 * that, or after the returned function was called, signals do what they did
 * before: a second one ends the process at once.
 */
export function onOsSignal(received: Received, source: SignalSource = process): () => void {
  const watch = watches.get(source) ?? new Watch(source);
  watches.set(source, watch);
  return watch.add(received);
}

class Watch {
  readonly #source: SignalSource;
  readonly #told = new Set<{ readonly received: Received }>();
  readonly #listener: Received = (signal) => {
    const told = [...this.#told];
    for (const each of told) this.#remove(each);
    for (const { received } of told) received(signal);
  };

  constructor(source: SignalSource) {
    this.#source = source;
  }

  add(received: Received): () => void {
    if (this.#told.size === 0) for (const signal of SIGNALS) this.#source.once(signal, this.#listener);
    const added = { received };
    this.#told.add(added);
    return () => this.#remove(added);
  }

  #remove(added: { readonly received: Received }): void {
    if (!this.#told.delete(added) || this.#told.size > 0) return;
    for (const signal of SIGNALS) this.#source.removeListener(signal, this.#listener);
  }
}
