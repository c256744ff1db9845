import fc from "fast-check";
import { expect, it } from "vitest";
import { Measurements } from "./measurements.ts";
import { metricOf } from "./metric-set.ts";

const BOUNDS = metricOf("howdah_job_wait_seconds").buckets ?? [];

it("counts for each value of the labels, and from zero where there are none", () => {
  const measurements = new Measurements();
  measurements.counter("howdah_jobs_finished_total", "a", "completed").add(1);
  measurements.counter("howdah_jobs_finished_total", "a", "completed").add(2);
  measurements.counter("howdah_jobs_finished_total", "a", "failed").add(1);
  expect([...measurements.counts("howdah_jobs_finished_total")]).toEqual([
    { labels: ["a", "completed"], value: 3 },
    { labels: ["a", "failed"], value: 1 },
  ]);
  expect([...measurements.counts("howdah_workers_recovered_total")]).toEqual([{ labels: ["", ""], value: 0 }]);
  expect([...measurements.counts("howdah_jobs_added_total")]).toEqual([]);
});

it("has for each bound as many values as are at most that", () => {
  const values = fc.array(fc.oneof(fc.constantFrom(...BOUNDS), fc.double({ min: 0, max: 5_000, noNaN: true })));
  fc.assert(
    fc.property(values, (given) => {
      const measurements = new Measurements();
      for (const value of given) measurements.histogram("howdah_job_wait_seconds", "t").record(value);
      const [found] = measurements.distributions("howdah_job_wait_seconds");
      if (given.length === 0) return found === undefined;
      expect(found?.atMost).toEqual(BOUNDS.map((bound) => given.filter((value) => value <= bound).length));
      expect(found?.count).toBe(given.length);
      expect(found?.sum).toBeCloseTo(
        given.reduce((sum, value) => sum + value, 0),
        6,
      );
      return true;
    }),
  );
});

it("ignores what is no number", () => {
  const measurements = new Measurements();
  measurements.histogram("howdah_claim_seconds").record(Number.NaN);
  measurements.histogram("howdah_claim_seconds").record(Number.POSITIVE_INFINITY);
  expect([...measurements.distributions("howdah_claim_seconds")]).toMatchObject([{ sum: 0, count: 0 }]);
});
