import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Job } from "./job.ts";
import { compileRetry, type FailedAttempt, type RetryPolicy } from "./retry.ts";

const DAY_MS = 86_400_000;
const BORN_AT = Date.UTC(2026, 0, 1);

function failedAttempt(
  attempts: number,
  at: { createdAt?: number; runAt?: number; lockedAt?: number } = {},
): FailedAttempt {
  const { createdAt = BORN_AT, runAt = createdAt, lockedAt = runAt } = at;
  const times = { createdAt: new Date(createdAt), runAt: new Date(runAt), lockedAt: new Date(lockedAt) };
  return { attempts, error: new Error("x"), job: { ...times, attempts } as Job };
}

describe("without a policy", () => {
  it.each([
    [1, 2_718],
    [2, 7_389],
    [5, 148_413],
    [10, 22_026_466],
    [11, 22_026_466],
    [32_767, 22_026_466],
  ])("attempt %i is followed by a rest of %i ms", (attempts, delayMs) => {
    expect(compileRetry()(failedAttempt(attempts))).toBe(delayMs);
  });
});

describe("a fixed policy", () => {
  it("always rests as long", () => {
    const retry = compileRetry({ type: "fixed", delay: "1.5s" });
    expect([retry(failedAttempt(1)), retry(failedAttempt(1000))]).toEqual([1500, 1500]);
  });
});

describe("an exponential policy", () => {
  it("grows from first by factor up to max", () => {
    const retry = compileRetry({ type: "exponential", first: "2s", factor: 3, max: "1m", jitter: 0 });
    expect([1, 2, 3, 4, 5, 30_000].map((attempts) => retry(failedAttempt(attempts)))).toEqual([
      2_000, 6_000, 18_000, 54_000, 60_000, 60_000,
    ]);
  });

  it("has defaults", () => {
    const retry = compileRetry({ type: "exponential" }, { random: () => 0 });
    expect([1, 2, 3, 100].map((attempts) => retry(failedAttempt(attempts)))).toEqual([1000, 2000, 4000, DAY_MS]);
    const shortest = compileRetry({ type: "exponential" }, { random: () => 1 });
    expect(shortest(failedAttempt(1))).toBe(900);
  });

  it("is shortened by at most its jitter, and stays a whole number of milliseconds", () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32_767 }), unit, unit, (attempts, jitter, drawn) => {
        const full = compileRetry({ type: "exponential", jitter: 0 })(failedAttempt(attempts));
        const rest = compileRetry({ type: "exponential", jitter }, { random: () => drawn })(failedAttempt(attempts));
        expect(Number.isSafeInteger(rest)).toBe(true);
        expect(rest).toBeLessThanOrEqual(Number(full));
        expect(rest).toBeGreaterThanOrEqual(Math.floor(Number(full) * (1 - jitter)));
      }),
    );
  });

  describe("with a deadline", () => {
    const policy: RetryPolicy = { type: "exponential", first: "1h", factor: 1, jitter: 0, deadline: "1d" };
    const hour = 3_600_000;

    it("begins no attempt after it", () => {
      const retry = compileRetry(policy);
      expect(retry(failedAttempt(1, { lockedAt: BORN_AT + 23 * hour }))).toBe(hour);
      expect(retry(failedAttempt(1, { lockedAt: BORN_AT + 23 * hour + 1 }))).toBe(false);
    });

    it("ends a job whose attempts fail at once after as many rests as fit", () => {
      const retry = compileRetry(policy);
      let runAt = BORN_AT;
      let attempts = 1;
      for (let delayMs = retry(failedAttempt(1)); delayMs !== false; attempts++) {
        runAt += delayMs;
        delayMs = retry(failedAttempt(attempts + 1, { runAt }));
      }
      expect(attempts).toBe(25);
    });

    it("counts from when a scheduled job was due, not from when it was added", () => {
      const due = BORN_AT + 7 * DAY_MS;
      expect(compileRetry(policy)(failedAttempt(1, { runAt: due }))).toBe(hour);
      expect(compileRetry(policy)(failedAttempt(3, { runAt: due + 2 * hour }))).toBe(hour);
    });

    it("counts at the earliest from when the job was added", () => {
      const late = failedAttempt(1, { runAt: BORN_AT - 30 * DAY_MS, lockedAt: BORN_AT });
      expect(compileRetry(policy)(late)).toBe(hour);
    });

    it("never ends a job earlier than its deadline, whatever the jitter was", () => {
      const given = fc.record({
        deadlineMs: fc.integer({ min: 1, max: 10 * DAY_MS }),
        jitter: fc.double({ min: 0, max: 1, noNaN: true }),
        waits: fc.array(fc.integer({ min: 0, max: DAY_MS }), { minLength: 1, maxLength: 15 }),
        drawn: fc.double({ min: 0, max: 1, noNaN: true }),
      });
      fc.assert(
        fc.property(given, ({ deadlineMs, jitter, waits, drawn }) => {
          const retry = compileRetry(
            { type: "exponential", first: "10m", jitter, deadline: deadlineMs },
            { random: () => drawn },
          );
          const free = compileRetry({ type: "exponential", first: "10m", jitter }, { random: () => drawn });
          let runAt = BORN_AT;
          for (const [index, wait] of waits.entries()) {
            const failed = failedAttempt(index + 1, { runAt, lockedAt: runAt + wait });
            const delayMs = free(failed);
            // A millisecond for each delay that was rounded.
            const next = runAt + wait + Number(delayMs);
            expect(retry(failed) !== false || next > BORN_AT + deadlineMs - waits.length).toBe(true);
            if (retry(failed) === false) return;
            runAt = next;
          }
        }),
      );
    });
  });
});

describe("a policy of the application's own", () => {
  it("decides", () => {
    const retry = compileRetry(({ attempts, error }) =>
      attempts < 3 && error instanceof Error ? `${attempts}s` : false,
    );
    expect([1, 2, 3].map((attempts) => retry(failedAttempt(attempts)))).toEqual([1000, 2000, false]);
  });

  it.each([
    ["throws", () => Promise.reject.call(undefined)],
    ["returns nothing", () => undefined],
    ["returns true", () => true],
    ["returns a negative number", () => -1],
    ["returns NaN", () => Number.NaN],
    ["returns a promise that rejects", () => Promise.reject(new Error("late"))],
  ])("that %s is reported, and replaced by the default", (_title, policy) => {
    const faults: unknown[] = [];
    const retry = compileRetry(policy as RetryPolicy, { onFault: (error) => faults.push(error) });
    expect(retry(failedAttempt(1))).toBe(2_718);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toBeInstanceOf(Error);
  });
});

describe("a policy that cannot be", () => {
  it.each([
    [
      { type: "exponental" },
      'Retry options must be a function or an object of type "exponential" or "fixed", found "exponental".',
    ],
    ["fixed", 'Retry options must be a function or an object of type "exponential" or "fixed", found "fixed".'],
    [null, 'Retry options must be a function or an object of type "exponential" or "fixed", found null.'],
    [{ type: "fixed" }, "Retry option `delay` is required."],
    [{ type: "exponential", factor: 0.5 }, "Retry option `factor` must be a number of at least 1, found 0.5."],
    [{ type: "exponential", jitter: 2 }, "Retry option `jitter` must be a number from 0 to 1, found 2."],
  ])("is refused: %j", (policy, message) => {
    expect(() => compileRetry(policy as RetryPolicy)).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message }),
    );
  });

  it("is refused with the name that was meant", () => {
    const policy = { type: "exponential", frist: "1s" } as RetryPolicy;
    expect(() => compileRetry(policy, { place: { owner: 'task "mail"', path: "retry" } })).toThrow(
      'Unknown task "mail" option `retry.frist`, did you mean `retry.first`?',
    );
  });
});
