import { sharedWatch } from "../runtime/shared-watch.ts";

/** Where it is learnt that the process has nothing left to do: `process`, or something like it. */
export interface ExitSource {
  on(event: "beforeExit", listener: () => void): unknown;
  removeListener(event: "beforeExit", listener: () => void): unknown;
}

/** One listener, however many workers a process has. The event comes again when a listener finds the process something to do. */
const watch = sharedWatch<ExitSource, undefined>(
  (source, tell) => {
    const listener = (): void => tell(undefined);
    source.on("beforeExit", listener);
    return () => void source.removeListener("beforeExit", listener);
  },
  { once: true },
);

/**
 * Calls `forgotten` when the process is about to end because it has nothing
 * left to do, unless the returned function was called before. Keeps no process
 * alive, and is silent when one is ended by a signal or by `process.exit()`.
 */
export function onNeverRun(forgotten: () => void, source: ExitSource = process): () => void {
  return watch(source, forgotten);
}
