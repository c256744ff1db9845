import { Cron } from "croner";
import { HowdahError } from "../errors.ts";
import type { CronExpression } from "./expression.ts";
import type { CronField } from "./field.ts";

/** The instants of an expression in a time zone. */
export interface Timetable {
  /** The first instant after this one, in milliseconds since 1970; `undefined` when there is none. */
  next(afterMs: number): number | undefined;
  /** The last instant before this one; `undefined` when there is none. */
  previous(beforeMs: number): number | undefined;
}

/**
 * Creates the timetable of an expression. When clocks are set forward, a
 * schedule with set times of the day runs at the end of the gap, once; one that
 * recurs through the day skips times that do not exist. When clocks are set
 * back, set times run at their first occurrence only, and recurring ones in
 * both hours. Throws `HOWDAH_CRON_INVALID` for a day that never comes, such as
 * the 31st of February.
 */
export function createTimetable(expression: CronExpression, timeZone: string): Timetable {
  const cron = new Cron(patternOf(expression), {
    timezone: timeZone,
    paused: true,
    mode: "6-part",
    // Whether a list has set times of the day was decided when the text was read: its values do not show it.
    fixedTimeRule: recursThroughDay(expression) ? "single-value" : "no-wildcard",
  });
  const timetable: Timetable = {
    next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime(),
    previous: (beforeMs) => cron.previousRuns(1, new Date(beforeMs))[0]?.getTime(),
  };
  if (timetable.next(LEAP_YEAR_MS) === undefined) {
    throw new HowdahError("HOWDAH_CRON_INVALID", `The schedule "${expression.text}" names a day that never comes.`);
  }
  return timetable;
}

const LEAP_YEAR_MS = Date.UTC(2000, 0, 1);

function recursThroughDay({ second, minute, hour }: CronExpression): boolean {
  return second.isWild || minute.isWild || hour.isWild;
}

/**
 * The fields as plain lists. A full day of the month or of the week must stay a
 * `*`, because the two are alternatives only if both are restricted.
 */
function patternOf({ second, minute, hour, day, month, weekday }: CronExpression): string {
  return [second, minute, hour, day, month, weekday].map(listOf).join(" ");
}

function listOf({ values, isFull }: CronField): string {
  return isFull ? "*" : values.join(",");
}
