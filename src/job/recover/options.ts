import { HowdahError } from "../../errors.ts";
import type { Duration } from "../../runtime/duration.ts";
import { boolean, duration, switchable } from "../../runtime/option-kinds.ts";
import { RESILIENCE, RESILIENT_JOB_FLAGS } from "../longest-silence.ts";
import type { OptionsOf } from "../../runtime/options.ts";

/**
 * When a worker counts as dead, and what becomes of its jobs. The defaults suit
 * production; `docs/guides/recovery.md` tells what follows from each. All
 * workers of a schema should be given the same.
 *
 * Tests that kill workers shorten everything by shortening three:
 * `{ heartbeatInterval: "200ms", sweepInterval: "100ms", sweepThreshold: "3s", recoveryDelay: 0 }`.
 */
export interface RecoveryOptions {
  /** `false`: this worker is neither watched nor watches others. Default true. */
  readonly enabled?: boolean | undefined;
  /** How often a worker says that it lives; once a second at least while it cannot listen. 10 ms or more. Default 4s. */
  readonly heartbeatInterval?: Duration | undefined;
  /**
   * How often a worker looks whether the others live, at least: a heartbeat takes
   * the look along that is due before the next one. 10 ms or more. Default 5s.
   */
  readonly sweepInterval?: Duration | undefined;
  /**
   * How long a heartbeat waits for its answer before it is sent again, over a
   * connection that is made for it. 10 ms or more. Default: a quarter of
   * `heartbeatInterval`, between 500ms and 1s.
   */
  readonly heartbeatTimeout?: Duration | undefined;
  /**
   * A worker whose session is gone is dead after so long without a heartbeat. At
   * least `heartbeatInterval` and three times `heartbeatTimeout`: so long can a
   * living worker be silent whose connections are lost without a word, because
   * its next heartbeat goes unanswered, and then needs a new connection and an
   * answer. Default: that, or twice `heartbeatInterval` if it is longer: 8s.
   */
  readonly lockLossTimeout?: Duration | undefined;
  /**
   * A worker that has no session to be watched by, because it does not listen or
   * listens through a transaction pooler, is dead after so long without a
   * heartbeat; one whose session is there, after six times as long. At least
   * twice `heartbeatInterval`. Default 5m.
   */
  readonly sweepThreshold?: Duration | undefined;
  /**
   * How long a sweeper watches, over one connection to one server, before it
   * declares a worker dead, unless its own process has just started; and how long
   * it waits for most of the workers when they went at the same moment. Default:
   * six times `sweepInterval`, 30s.
   */
  readonly watchTime?: Duration | undefined;
  /**
   * A recovered job without a queue runs after half to all of this time. One
   * with a queue keeps its place: it runs when its queue is free. Default 500ms.
   */
  readonly recoveryDelay?: Duration | undefined;
  /**
   * A worker without a successful heartbeat for so long tells the handlers of
   * queued jobs to stop, because others are about to take over its queues. At
   * least twice `heartbeatInterval`. Default: five times, 20s.
   */
  readonly contactTimeout?: Duration | undefined;
  /**
   * The queues of a dead worker are free after so long without a heartbeat. Not
   * below `contactTimeout`. Default: one and a half times that, 30s.
   */
  readonly queueDelay?: Duration | undefined;
  /** A worker that runs a job with one of these flags may be silent for longer. Default: `["infrastructure_resilient"]`. */
  readonly resilientJobFlags?: readonly string[] | undefined;
  /** For how much longer: `sweepThreshold` times this, 1 or more. Default 3. */
  readonly resilientSweepThresholdMultiplier?: number | undefined;
  /** How often to look, in a whole schema, for locks of workers that are not registered. Default 10m. */
  readonly orphanInterval?: Duration | undefined;
  /** For how long locks of other kinds of workers are left alone that are not registered. Default 4h. */
  readonly orphanThreshold?: Duration | undefined;
}

const SHAPE = {
  enabled: boolean({ default: true }),
  heartbeatInterval: duration({ min: 10, default: "4s" }),
  sweepInterval: duration({ min: 10, default: "5s" }),
  heartbeatTimeout: duration({ min: 10 }),
  lockLossTimeout: duration(),
  sweepThreshold: duration({ default: "5m" }),
  watchTime: duration(),
  recoveryDelay: duration({ default: "500ms" }),
  contactTimeout: duration(),
  queueDelay: duration(),
  ...RESILIENCE,
  orphanInterval: duration({ min: 10, default: "10m" }),
  orphanThreshold: duration({ min: 1, default: "4h" }),
};

/** How {@link RecoveryOptions} are read; `toRecoverySettings` does the rest. */
export const RECOVERY = switchable(SHAPE, { default: true });

type ReadRecoveryOptions = OptionsOf<typeof SHAPE>;

/** {@link RecoveryOptions} with every default filled in. */
export type RecoverySettings = {
  readonly [Name in keyof ReadRecoveryOptions]-?: NonNullable<ReadRecoveryOptions[Name]>;
};

/**
 * Fills in the defaults that follow from other options, and checks what has to
 * be at least as long as something else. `undefined` when recovery is off.
 * Throws `HOWDAH_OPTION_INVALID`.
 */
export function toRecoverySettings(read: ReadRecoveryOptions | undefined): RecoverySettings | undefined {
  if (!read?.enabled) return undefined;
  const { heartbeatIntervalMs, sweepIntervalMs } = read;
  const contactTimeoutMs = read.contactTimeoutMs ?? 5 * heartbeatIntervalMs;
  const heartbeatTimeoutMs = read.heartbeatTimeoutMs ?? Math.min(1_000, Math.max(500, heartbeatIntervalMs / 4));
  const longestSilenceMs = heartbeatIntervalMs + 3 * heartbeatTimeoutMs;
  const settings: RecoverySettings = {
    ...read,
    heartbeatTimeoutMs,
    lockLossTimeoutMs: read.lockLossTimeoutMs ?? Math.max(2 * heartbeatIntervalMs, longestSilenceMs),
    watchTimeMs: read.watchTimeMs ?? 6 * sweepIntervalMs,
    contactTimeoutMs,
    queueDelayMs: read.queueDelayMs ?? 1.5 * contactTimeoutMs,
    resilientJobFlags: read.resilientJobFlags ?? RESILIENT_JOB_FLAGS,
  };
  atLeast(settings, "lockLossTimeout", [
    longestSilenceMs,
    `\`heartbeatInterval\` (${heartbeatIntervalMs} ms) and three times \`heartbeatTimeout\` (${heartbeatTimeoutMs} ms), ` +
      "which a living worker whose connections are lost may need until it is heard of again",
  ]);
  atLeast(settings, "sweepThreshold", [2 * heartbeatIntervalMs, "twice `heartbeatInterval`"]);
  atLeast(settings, "contactTimeout", [2 * heartbeatIntervalMs, "twice `heartbeatInterval`"]);
  atLeast(settings, "queueDelay", [
    contactTimeoutMs,
    "`contactTimeout`, which a worker that is cut off needs to stop what it runs",
  ]);
  return settings;
}

type Limited = "lockLossTimeout" | "sweepThreshold" | "contactTimeout" | "queueDelay";

function atLeast(settings: RecoverySettings, name: Limited, [limitMs, what]: readonly [number, string]): void {
  const found = settings[`${name}Ms`];
  if (found >= limitMs) return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Worker option \`recovery.${name}\` (${found} ms) must be at least ${limitMs} ms: ${what}.`,
  );
}
