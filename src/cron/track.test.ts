import { describe, expect, it } from "vitest";
import { prepareRecurringJob, type RecurringJob } from "./recurring-job.ts";
import { beginningOf, type Beginning, dueTicks, restingTrack, trackFrom } from "./track.ts";
import { readCronEntry } from "./cron.ts";

const recurring = (schedule: string): Promise<RecurringJob> =>
  prepareRecurringJob(readCronEntry({ owner: "cron", path: "" }, { id: schedule, task: "t", schedule }));
const at = (time: string): number => Date.parse(`2026-01-01T${time}Z`);
const { timetable } = await recurring("0 * * * *");

/** The first tick of an hourly entry after its beginning. */
function firstTick(given: Partial<Beginning>): string {
  const beginning = beginningOf({
    timetable,
    fillMs: 0,
    missed: "all",
    decidedMs: at("01:00:00"),
    startMs: at("06:30:00"),
    ...given,
  });
  return new Date(timetable.next(beginning) ?? 0).toISOString().slice(11, 16);
}

describe("where a worker begins", () => {
  it("is its start when nothing is made up for", () => {
    expect(firstTick({})).toBe("07:00");
    expect(firstTick({ missed: "skip", fillMs: 86_400_000 })).toBe("07:00");
    expect(firstTick({ startMs: at("06:00:00") })).toBe("06:00");
  });

  it("is as far back as the fill reaches, its very edge included", () => {
    expect(firstTick({ fillMs: 86_400_000 })).toBe("02:00");
    expect(firstTick({ fillMs: 3_600_000 })).toBe("06:00");
    expect(firstTick({ fillMs: 9_000_000 })).toBe("04:00");
    expect(firstTick({ fillMs: 8_999_999 })).toBe("05:00");
  });

  it("is the last missed tick with `once`, if the fill reaches it and it was not added", () => {
    expect(firstTick({ missed: "once", fillMs: 86_400_000 })).toBe("06:00");
    expect(firstTick({ missed: "once", fillMs: 1_800_000 })).toBe("06:00");
    expect(firstTick({ missed: "once", fillMs: 1_799_999 })).toBe("07:00");
    expect(firstTick({ missed: "once", fillMs: 86_400_000, decidedMs: at("06:00:00") })).toBe("07:00");
  });

  it("is behind what was decided, also when that is in the future", () => {
    for (const missed of ["skip", "once", "all"] as const) {
      expect(firstTick({ missed, fillMs: 86_400_000, decidedMs: at("09:00:00") })).toBe("10:00");
    }
  });
});

describe("due ticks", () => {
  it("come by time, then in the order of the entries, and not more than asked for", async () => {
    const tracks = [
      trackFrom(await recurring("*/10 * * * *"), at("00:00:00")),
      trackFrom(await recurring("*/15 * * * *"), at("00:00:00")),
      restingTrack(await recurring("* * * * *"), at("00:00:00"), "v"),
    ];
    const shown = (limit: number, now: string): string[] =>
      dueTicks(tracks, at(now), limit).map(
        ({ track, tickMs }) => `${new Date(tickMs).toISOString().slice(14, 16)} ${track.recurring.id.slice(0, 4)}`,
      );
    expect(shown(100, "00:30:00")).toEqual(["10 */10", "15 */15", "20 */10", "30 */10", "30 */15"]);
    expect(shown(2, "00:30:00")).toEqual(["10 */10", "15 */15"]);
    expect(shown(100, "00:09:59")).toEqual([]);
  });
});
