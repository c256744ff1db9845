import { HowdahError } from "../../errors.ts";
import { delayCell } from "../../postgres/queries/run-times.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { parseDuration } from "../../runtime/duration.ts";
import { toTimestamp } from "./run-at.ts";

/** When a job runs, as PostgreSQL reads it; null for now. Throws `HOWDAH_JOB_INVALID`. */
export function checkRunAt(runAt: unknown, subject: string): string | null {
  const time = runAt === undefined ? null : toTimestamp(runAt);
  if (time !== undefined) return time;
  const allowed = "a valid Date or a time in ISO 8601 with its offset, such as 2030-01-31T08:00:00Z";
  throw new HowdahError(
    "HOWDAH_JOB_INVALID",
    `\`runAt\` of ${subject} is ${describeValue(runAt)}; it has to be ${allowed}${delayHint(runAt)}.`,
  );
}

/** For those who write a delay where a time belongs. */
function delayHint(runAt: unknown): string {
  return toDelayMs(runAt) === undefined ? "" : "; a delay is called `runIn`";
}

/** After which delay a job runs, as `run-times.ts` has it. Throws `HOWDAH_JOB_INVALID`. */
export function checkRunIn(
  { runAt, runIn }: { readonly runAt: unknown; readonly runIn: unknown },
  subject: string,
): string {
  const ms = toDelayMs(runIn);
  if (ms === undefined)
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`runIn\` of ${subject} is ${describeValue(runIn)}; it has to be a duration such as "5m", of at most 100 years.`,
    );
  if (runAt !== undefined)
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`runAt\` and \`runIn\` of ${subject} are both given; one of them says when it runs.`,
    );
  return delayCell(ms);
}

function toDelayMs(delay: unknown): number | undefined {
  try {
    return parseDuration(delay, "delay");
  } catch {
    return undefined;
  }
}

/** How long an attempt may take, in milliseconds; null leaves that to the task. Throws `HOWDAH_JOB_INVALID`. */
export function checkTimeout(timeout: unknown, subject: string): number | null {
  if (timeout === undefined) return null;
  const ms = toTimeoutMs(timeout);
  if (ms !== undefined) return ms;
  throw new HowdahError(
    "HOWDAH_JOB_INVALID",
    `\`timeout\` of ${subject} is ${describeValue(timeout)}; it has to be a duration such as "30s", from 1 ms to 24 days.`,
  );
}

function toTimeoutMs(timeout: unknown): number | undefined {
  try {
    const ms = Math.round(parseDuration(timeout, "timeout"));
    return ms >= 1 && ms <= LONGEST_TIMEOUT_MS ? ms : undefined;
  } catch {
    return undefined;
  }
}

/** The longest time that a timer of Node.js, and an `integer` of PostgreSQL, can hold. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;
