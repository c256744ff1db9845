import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Executor } from "./driver.ts";

/** Says that the clocks differ so far that people will notice, if they do. */
export function warnOfSkew(logger: Logger, { databaseMs, processMs, apartMs }: ClockReading): void {
  const skewMs = processMs - databaseMs;
  if (!(Math.abs(skewMs) - apartMs > TOLERATED_MS)) return;
  logger.warn(
    "The clock of this process and that of the database differ by more than 30 seconds; " +
      "ticks of schedules and a `runAt` that is computed here are off by that",
    {
      processTime: new Date(processMs).toISOString(),
      databaseTime: new Date(databaseMs).toISOString(),
      aheadSeconds: Math.round(skewMs / 1_000),
    },
  );
}

/** Asks the database for its time, which also shows that it answers. */
export async function readDatabaseClock(executor: Executor, clock: Clock, timeoutMs: number): Promise<ClockReading> {
  const askedMs = clock.monotonic();
  const { rows } = await executor.query({ text: NOW, timeoutMs });
  // The database looked somewhere between the question and the answer: in the middle, give or take half of the way.
  const apartMs = (clock.monotonic() - askedMs) / 2;
  return { databaseMs: Number(rows[0]?.[0] ?? Number.NaN) * 1_000, processMs: clock.now() - apartMs, apartMs };
}

/** What the clocks of the database and of this process showed at about the same moment. */
export interface ClockReading {
  /** Milliseconds since 1970. Not a number when the driver's answer was none. */
  readonly databaseMs: number;
  /** Milliseconds since 1970. */
  readonly processMs: number;
  /** How far apart the two moments may have been. */
  readonly apartMs: number;
}

/** How far the clocks may differ without a word: NTP keeps them within a fraction of a second. */
const TOLERATED_MS = 30_000;

const NOW = "select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())";
