import type { Duration } from "../runtime/duration.ts";
import { boolean, duration, nested, object } from "../runtime/option-kinds.ts";

/** How a worker ends. */
export interface ShutdownOptions {
  /** How long running handlers may go on undisturbed. Default 5s. */
  readonly gracePeriod?: Duration | undefined;
  /** How long they may take after their signal was aborted. Default 1s. */
  readonly abortPeriod?: Duration | undefined;
  /** When a job that was interrupted runs again. Default 30s. */
  readonly interruptedJobRetryDelay?: Duration | undefined;
  /** Shuts down on SIGINT, SIGTERM, SIGHUP and SIGUSR2. Default true. */
  readonly osSignals?: boolean | undefined;
  /** Shuts down when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** How {@link ShutdownOptions} are read. */
export const SHUTDOWN = nested({
  gracePeriod: duration({ default: "5s" }),
  abortPeriod: duration({ default: "1s" }),
  interruptedJobRetryDelay: duration({ default: "30s" }),
  osSignals: boolean({ default: true }),
  signal: object<AbortSignal>(["addEventListener", "removeEventListener"]),
});
