import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_REPORT_BYTES, readReport, type ReportFacts, reportedError, writeReport } from "./worker-report.ts";

const CLAIMS = { fullScanAgeMs: 5, nextFullScanMs: 995, nextQueueScanMs: 0, failure: null };
const FACTS: ReportFacts = {
  version: "1.2.3",
  revision: 7,
  host: "host",
  pid: 42,
  runsForMs: 60_000,
  concurrency: 4,
  busy: 1,
  cached: 2,
  localQueueSize: 100,
  leftBehind: 0,
  unwritten: 3,
  locked: 6,
  claims: CLAIMS,
  isRetired: false,
  isStopping: false,
  tasks: ["send_email", "resize"],
  forbiddenFlags: ["gpu"],
  running: [{ id: "9007199254740993", task: "send_email", queue: "mail", ms: 1_500 }],
};
const BEAT = new Date("2030-01-01T00:00:00Z");

function written(facts: ReportFacts): Record<string, unknown> {
  return JSON.parse(writeReport(facts)) as Record<string, unknown>;
}

describe("a report", () => {
  it("is read as it was written, with times before the heartbeat", () => {
    expect(readReport(written(FACTS), BEAT)).toEqual({
      version: "1.2.3",
      host: "host",
      pid: 42,
      runsSince: new Date("2029-12-31T23:59:00Z"),
      slots: 4,
      busy: 1,
      cached: 2,
      localQueueSize: 100,
      leftBehind: 0,
      unwritten: 3,
      locked: 6,
      tasks: ["send_email", "resize"],
      moreTasks: 0,
      forbiddenFlags: ["gpu"],
      moreForbiddenFlags: 0,
      running: [
        { id: "9007199254740993", task: "send_email", queueName: "mail", since: new Date("2029-12-31T23:59:58.500Z") },
      ],
      moreRunning: 0,
      claims: { fullScanAgeMs: 5, nextFullScanMs: 995, nextQueueScanMs: 0, failingSince: null, lastError: null },
      isRetired: false,
      isStopping: false,
    });
  });

  it("says since when claims fail, and with what", () => {
    const claims = { ...CLAIMS, failure: { ms: 2_000, error: "no" } };
    expect(readReport(written({ ...FACTS, claims }), BEAT)?.claims).toMatchObject({
      failingSince: new Date("2029-12-31T23:59:58Z"),
      lastError: "no",
    });
  });

  it("fits into 8 kB, cuts the running jobs first, the newest of them, and says how many", () => {
    const running = Array.from({ length: 500 }, (_, n) => ({ id: `${n}`, task: "t", queue: null, ms: 500 - n }));
    const cut = readReport(written({ ...FACTS, running }), BEAT);
    expect(cut?.tasks).toEqual(FACTS.tasks);
    expect(cut?.running[0]?.id).toBe("0");
    expect(cut?.running.length).toBeGreaterThan(100);
    expect((cut?.running.length ?? 0) + (cut?.moreRunning ?? 0)).toBe(500);
    const tasks = Array.from({ length: 200 }, (_, n) => `${n}`.padEnd(128, "x"));
    const many = readReport(written({ ...FACTS, running, tasks }), BEAT);
    expect([many?.running.length, many?.moreRunning]).toEqual([0, 500]);
    expect((many?.tasks.length ?? 0) + (many?.moreTasks ?? 0)).toBe(200);
  });

  it("is written whatever a function has returned as forbidden flags: a heartbeat depends on it", () => {
    const forbiddenFlags = [undefined, 1, null, Symbol("s"), "gpu"];
    const report = readReport(written({ ...FACTS, forbiddenFlags }), BEAT);
    expect(report?.forbiddenFlags).toEqual(["undefined", "number", "object", "symbol", "gpu"]);
  });

  it("is at most 8 kB of JSON that PostgreSQL can store, whatever a worker is like", () => {
    const text = fc.string({ unit: "binary", maxLength: 300 });
    const facts: fc.Arbitrary<ReportFacts> = fc.record({
      ...Object.fromEntries(Object.entries(FACTS).map(([name, value]) => [name, fc.constant(value)])),
      host: text,
      // Those of tasks and queues are in the database already.
      tasks: fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 128 }), { maxLength: 300 }),
      forbiddenFlags: fc.array(text, { maxLength: 100 }),
      running: fc.array(fc.constant({ id: "1", task: "t".repeat(128), queue: null, ms: 1 }), { maxLength: 200 }),
    }) as fc.Arbitrary<unknown> as fc.Arbitrary<ReportFacts>;
    fc.assert(
      fc.property(facts, (said) => {
        const json = writeReport(said);
        expect(Buffer.byteLength(json)).toBeLessThanOrEqual(MAX_REPORT_BYTES);
        const strings: string[] = [];
        JSON.parse(json, (_, value: unknown) => {
          if (typeof value === "string") strings.push(value);
          return value;
        });
        expect(strings.filter((string) => /\0|\p{Surrogate}/u.test(string))).toEqual([]);
        const report = readReport(JSON.parse(json) as Record<string, unknown>, BEAT);
        const counts = [report?.tasks, report?.forbiddenFlags, report?.running].map((list) => list?.length ?? 0);
        const more = [report?.moreTasks, report?.moreForbiddenFlags, report?.moreRunning].map((count) => count ?? 0);
        const given = [said.tasks, said.forbiddenFlags, said.running].map((list) => list.length);
        expect(counts.map((count, index) => count + (more[index] ?? 0))).toEqual(given);
      }),
    );
  });

  it.each([null, {}, { pid: 7 }, { running: "all" }, { tasks: ["a"], concurrency: 3 }])(
    "is none in the metadata of others: %j",
    (metadata) => {
      expect(readReport(metadata, BEAT)).toBeNull();
    },
  );

  it("is read whatever others have stored there", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(FACTS), "more"), fc.jsonValue()), (metadata) => {
        const report = readReport({ ...metadata, running: [1, null, { ms: 1e300 }] }, BEAT);
        expect(report?.running.map(({ since }) => since.getTime())).toEqual([1, 2, 3].map(() => BEAT.getTime()));
        expect(JSON.stringify(report)).toContain("claims");
      }),
    );
  });
});

describe("the error of a report", () => {
  it.each([
    [
      new Error('invalid input syntax for type integer: "4711 Main Street"'),
      'invalid input syntax for type integer: "..."',
    ],
    ["permission denied for table _private_jobs", "permission denied for table _private_jobs"],
    ["Fehler bei \u00bbWert\u00ab", 'Fehler bei "..."'],
    ["Fehler bei \u201eWert\u201c und \u00abWert\u00bb", 'Fehler bei "..." und "..."'],
    ["a\nb\0c", "a?b?c"],
  ])("is without quoted values and plain: %s", (error, said) => {
    expect(reportedError(error)).toBe(said);
  });

  it("has 200 characters at most", () => {
    expect(reportedError("\ud83d".repeat(999))).toHaveLength(200);
  });
});
