const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

/** Where signals come from: `process`, or something like it. */
export interface SignalSource {
  once(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  removeListener(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

/**
 * Calls `received` at the first signal that asks the process to end. After
 * that, or after the returned function was called, signals do what they did
 * before: a second one ends the process at once.
 */
export function onOsSignal(received: (signal: NodeJS.Signals) => void, source: SignalSource = process): () => void {
  const listener = (signal: NodeJS.Signals): void => {
    remove();
    received(signal);
  };
  function remove(): void {
    for (const signal of SIGNALS) source.removeListener(signal, listener);
  }
  for (const signal of SIGNALS) source.once(signal, listener);
  return remove;
}
