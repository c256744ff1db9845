import { describe, expect, it } from "vitest";
import { AnnouncedJobs } from "./announced-jobs.ts";

const INTERVAL_MS = 1_000;

/** Jobs announced to a worker that has just looked everywhere and found nothing more. */
function atRest() {
  const jobs = new AnnouncedJobs(INTERVAL_MS);
  jobs.take(10, 0);
  jobs.looked(false, 0);
  return jobs;
}

describe("AnnouncedJobs", () => {
  it("names what was announced since a look found nothing more, each job once", () => {
    const jobs = atRest();
    jobs.announced(["1"]);
    jobs.announced(["2", "1"]);
    expect(jobs.take(10, 1)).toEqual(["1", "2"]);
    expect(jobs.take(10, 1)).toBeUndefined();
  });

  it("looks everywhere before it names anything", () => {
    const jobs = new AnnouncedJobs(INTERVAL_MS);
    jobs.announced(["1"]);
    expect(jobs.take(10, 0)).toBeUndefined();
  });

  it.each<[string, (jobs: AnnouncedJobs) => void]>([
    ["an announcement without ids", (jobs) => jobs.announced(undefined)],
    ["a claim that failed", (jobs) => jobs.lookEverywhere()],
    ["an answer of more", (jobs) => jobs.looked(true, 0)],
  ])("looks everywhere after %s, also when names follow", (_, happens) => {
    const jobs = atRest();
    happens(jobs);
    jobs.announced(["1"]);
    expect(jobs.take(10, 1)).toBeUndefined();
  });

  it("looks everywhere when there is no room for all that was named, and when names are too many", () => {
    const crowded = atRest();
    crowded.announced(["1", "2"]);
    expect(crowded.take(1, 1)).toBeUndefined();
    const flooded = atRest();
    flooded.announced(Array.from({ length: 51 }, (_, index) => String(index)));
    expect(flooded.take(100, 1)).toBeUndefined();
  });

  it("looks everywhere once per interval, however many names come", () => {
    const jobs = atRest();
    expect(jobs.restMs(400)).toBe(600);
    jobs.announced(["1"]);
    expect(jobs.take(10, INTERVAL_MS - 1)).toEqual(["1"]);
    jobs.announced(["2"]);
    expect(jobs.take(10, INTERVAL_MS)).toBeUndefined();
    jobs.looked(false, INTERVAL_MS);
    jobs.announced(["3"]);
    expect(jobs.take(10, INTERVAL_MS + 1)).toEqual(["3"]);
  });

  it("keeps what is named while a look is under way, which may have missed it", () => {
    const jobs = new AnnouncedJobs(INTERVAL_MS);
    jobs.take(10, 0);
    jobs.announced(["1"]);
    jobs.looked(false, 1);
    expect(jobs.take(10, 2)).toEqual(["1"]);
  });

  it("forgets the names of before a look everywhere", () => {
    const jobs = atRest();
    jobs.announced(["1", "2"]);
    jobs.take(1, 1);
    jobs.looked(false, 1);
    expect(jobs.take(10, 2)).toBeUndefined();
  });
});
