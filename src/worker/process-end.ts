import { sharedWatch } from "../runtime/shared-watch.ts";

/**
 * Calls `received` at the first signal that asks the process to end. After
 * that, or after the returned function was called, signals do what they did
 * before: a second one ends the process at once.
 */
export function onOsSignal(received: Received, source: SignalSource = process): () => void {
  return signals(source, received);
}

/**
 * Calls `forgotten` when the process is about to end because it has nothing
 * left to do, unless the returned function was called before. Keeps no process
 * alive, and is silent when one is ended by a signal or by `process.exit()`.
 */
export function onNeverRun(forgotten: () => void, source: ExitSource = process): () => void {
  return exit(source, forgotten);
}

/** Where signals come from: `process`, or something like it. */
export interface SignalSource {
  once(signal: NodeJS.Signals, listener: Received): unknown;
  removeListener(signal: NodeJS.Signals, listener: Received): unknown;
}

/** What emits an event when the process has nothing left to do: `process`, or something like it. */
export interface ExitSource {
  on(event: "beforeExit", listener: () => void): unknown;
  removeListener(event: "beforeExit", listener: () => void): unknown;
}

type Received = (signal: NodeJS.Signals) => void;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

/** One listener for each signal, however many workers a process has. */
const signals = sharedWatch<SignalSource, NodeJS.Signals>(
  (source, tell) => {
    for (const signal of SIGNALS) source.once(signal, tell);
    return () => {
      for (const signal of SIGNALS) source.removeListener(signal, tell);
    };
  },
  { once: true },
);

/** One listener, however many workers a process has. The event comes again when a listener finds the process something to do. */
const exit = sharedWatch<ExitSource, undefined>(
  (source, tell) => {
    const listener = (): void => tell(undefined);
    source.on("beforeExit", listener);
    return () => void source.removeListener("beforeExit", listener);
  },
  { once: true },
);
