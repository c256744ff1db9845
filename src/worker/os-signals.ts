import { sharedWatch } from "../runtime/shared-watch.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

type Received = (signal: NodeJS.Signals) => void;

/** Where signals come from: `process`, or something like it. */
export interface SignalSource {
  once(signal: NodeJS.Signals, listener: Received): unknown;
  removeListener(signal: NodeJS.Signals, listener: Received): unknown;
}

/** One listener for each signal, however many workers a process has. */
const watch = sharedWatch<SignalSource, NodeJS.Signals>(
  (source, tell) => {
    for (const signal of SIGNALS) source.once(signal, tell);
    return () => {
      for (const signal of SIGNALS) source.removeListener(signal, tell);
    };
  },
  { once: true },
);

/**
 * Calls `received` at the first signal that asks the process to end. After
 * that, or after the returned function was called, signals do what they did
 * before: a second one ends the process at once.
 */
export function onOsSignal(received: Received, source: SignalSource = process): () => void {
  return watch(source, received);
}
