import { HowdahError, isHowdahError } from "../errors.ts";
import type { Clock } from "../runtime/clock.ts";
import { ownMessage } from "../runtime/error-message.ts";
import { type ClockReading, readDatabaseClock } from "./clock-skew.ts";
import type { Driver } from "./driver.ts";
import { hintFor } from "./hints.ts";
import { isSessionOver, isTransient, sqlStateOf } from "./sqlstate.ts";

/**
 * Resolves once the database answers and is prepared, with its time. Tries again while it may only be
 * starting, then rejects with `HOWDAH_DATABASE_UNREACHABLE`. `prepare` says what
 * to do there first; it is begun anew when the connection is lost in its middle,
 * and what else it rejects with is passed on. What waiting does not cure is rejected at once: wrong credentials with
 * `HOWDAH_DATABASE_FORBIDDEN`, a database that does not exist with
 * `HOWDAH_DATABASE_UNREACHABLE`.
 */
export async function reachDatabase(
  { driver, clock, timeoutMs, target }: ReachOptions,
  prepare?: () => Promise<void>,
): Promise<ClockReading> {
  const deadline = clock.monotonic() + timeoutMs;
  for (;;) {
    const probed = await probe(driver, clock, Math.max(1, deadline - clock.monotonic()));
    const tried = "found" in probed ? probed : ((await lossDuring(prepare)) ?? probed);
    if ("reading" in tried) return tried.reading;
    if (!isTransient(tried.found)) throw explain(tried.found, target);
    if (clock.monotonic() + PAUSE_MS >= deadline) throw unreachable(tried.found, { target, timeoutMs });
    await clock.sleep(PAUSE_MS);
  }
}

/** What {@link reachDatabase} needs to know. */
export interface ReachOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  /** How long to try. */
  readonly timeoutMs: number;
  /** Where the driver leads, for messages, without credentials. */
  readonly target: string;
}

/** How long to wait between two tries: often enough for a database that is just starting. */
const PAUSE_MS = 250;

/** The server knows the role and turns it away, or does not know it. */
const REFUSED_STATES = new Set(["28000", "28P01", "42501"]);

/** What went wrong, wrapped because anything may be thrown. */
interface Failed {
  readonly found: unknown;
}

/** The database's time, or why it did not tell it. */
async function probe(driver: Driver, clock: Clock, timeoutMs: number): Promise<Failed | { reading: ClockReading }> {
  try {
    return { reading: await readDatabaseClock(driver, clock, timeoutMs) };
  } catch (found) {
    return { found };
  }
}

/** The error of a server that was lost in the middle of the work: it was not the work that failed. */
async function lossDuring(work: (() => Promise<void>) | undefined): Promise<Failed | undefined> {
  try {
    await work?.();
    return undefined;
  } catch (found) {
    if (isSessionOver(found) || (sqlStateOf(found) === undefined && isTransient(found))) return { found };
    throw found;
  }
}

function unreachable(error: unknown, { target, timeoutMs }: Pick<ReachOptions, "target" | "timeoutMs">): HowdahError {
  // That was reached.
  if (isHowdahError(error, "HOWDAH_TRANSACTION_POOLER")) return error;
  return new HowdahError(
    "HOWDAH_DATABASE_UNREACHABLE",
    `Could not reach ${target} within ${timeoutMs} ms: ${messageOf(error)}`,
    error,
  );
}

function explain(error: unknown, target: string): unknown {
  if (isHowdahError(error) && !isHowdahError(error, "HOWDAH_CONNECTION_LOST")) return error;
  const state = sqlStateOf(error);
  const code = state !== undefined && REFUSED_STATES.has(state) ? "HOWDAH_DATABASE_FORBIDDEN" : undefined;
  return new HowdahError(
    code ?? "HOWDAH_DATABASE_UNREACHABLE",
    `Could not connect to ${target}: ${messageOf(error)}`,
    error,
  );
}

/**
 * What the server said and what to do about it. That of the driver says no more
 * than that the database could not be reached, and why.
 */
function messageOf(error: unknown): string {
  const isWrapped = isHowdahError(error, "HOWDAH_DATABASE_UNREACHABLE") && error.cause !== undefined;
  const said = ownMessage(isWrapped ? error.cause : error);
  const hint = hintFor(sqlStateOf(error));
  return hint === undefined ? said : `${said}. ${hint}`;
}
