import { HowdahError } from "../errors.ts";
import type { RecoverySettings } from "../job/recover/options.ts";
import type { IdleSettings } from "../job/worker-context.ts";
import { custom, duration } from "../runtime/option-kinds.ts";
import { invalidOption, type OptionPlace, type OptionsOf } from "../runtime/options.ts";

/** How often a worker looks for jobs without a notification, and whether it goes idle. */
export interface Polling {
  readonly pollIntervalMs: number;
  /** `undefined` when polling is not adaptive. */
  readonly idle: IdleSettings | undefined;
}

const POLL_INTERVAL = duration({ min: 1, default: 1_000 });

/** How the options of polling are read; {@link toPolling} does the rest. */
export const POLLING = {
  pollInterval: custom(readPollInterval),
  idleTimeout: duration({ min: 100 }),
  idlePollInterval: duration({ min: 100 }),
};

/** Fills in defaults, and checks that idling is possible. Throws `HOWDAH_OPTION_INVALID`. */
export function toPolling(read: ReadPolling): Polling {
  const { pollInterval, idleTimeoutMs, idlePollIntervalMs } = read;
  if (pollInterval !== "adaptive") {
    if (idleTimeoutMs !== undefined) throw isNotAdaptive("idleTimeout");
    if (idlePollIntervalMs !== undefined) throw isNotAdaptive("idlePollInterval");
    return { pollIntervalMs: pollInterval ?? POLL_INTERVAL_MS, idle: undefined };
  }
  checkNotifications(read);
  const idle = { idleTimeoutMs: idleTimeoutMs ?? IDLE_MS, idlePollIntervalMs: idlePollIntervalMs ?? IDLE_MS };
  return { pollIntervalMs: POLL_INTERVAL_MS, idle };
}

/** What says how a worker polls, and what that depends on. */
export interface ReadPolling extends OptionsOf<typeof POLLING> {
  readonly useNotificationDelivery: boolean;
  readonly recovery: RecoverySettings | undefined;
}

const POLL_INTERVAL_MS = 1_000;
const IDLE_MS = 300_000;

function readPollInterval(given: unknown, place: OptionPlace): number | "adaptive" {
  if (given === "adaptive") return given;
  const isWord = typeof given === "string" && !/^\d/.test(given);
  if (isWord) throw invalidOption(place, 'must be a duration such as "1s", or "adaptive"', given);
  return POLL_INTERVAL.read(given, place);
}

/** An idle worker depends on notifications, and only liveness finds out whether they arrive. */
function checkNotifications({ useNotificationDelivery, recovery }: ReadPolling): void {
  if (useNotificationDelivery && recovery) return;
  const found = useNotificationDelivery ? "`recovery` is off" : "`useNotificationDelivery` is false";
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Worker option \`pollInterval\` is "adaptive" and ${found}. An idle worker depends on notifications, and recovery ` +
      "finds out whether they arrive: leave both on, or give a duration.",
  );
}

function isNotAdaptive(name: string): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Worker option \`${name}\` has an effect with \`pollInterval: "adaptive"\` only: give both, or leave it out.`,
  );
}
