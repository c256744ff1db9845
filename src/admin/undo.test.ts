import { describe, expect, it } from "vitest";
import type { Job } from "../job/job.ts";
import { isUndoable, undoOf } from "./undo.ts";

const job = (id: string, changes: Partial<Job> = {}): Job =>
  ({ id, attempts: 3, maxAttempts: 3, priority: 0, runAt: new Date(0), ...changes }) as Job;

describe("undo", () => {
  it("gives jobs back the attempts that a retry or a failure took from them", () => {
    const jobs = [job("1"), job("2", { attempts: 25, maxAttempts: 25 }), job("3")];
    for (const action of ["retry", "fail"] as const)
      expect(undoOf({ action }, jobs)?.steps).toEqual([
        { action: "reschedule", ids: ["1", "3"], to: { attempts: 3 } },
        { action: "reschedule", ids: ["2"], to: { attempts: 25 } },
      ]);
  });

  it("gives back how often a job may run, when a retry has changed it", () => {
    expect(undoOf({ action: "retry", again: { attempts: 1, spread: "5m" } }, [job("1")])?.steps).toEqual([
      { action: "reschedule", ids: ["1"], to: { attempts: 3, maxAttempts: 3 } },
    ]);
    expect(undoOf({ action: "retry", again: { attempts: "again" } }, [job("1")])?.steps).toEqual([
      { action: "reschedule", ids: ["1"], to: { attempts: 3 } },
    ]);
  });

  it("gives back of rescheduled jobs what was changed, and no more", () => {
    expect(undoOf({ action: "reschedule", to: { runIn: "5m" } }, [job("1")])?.steps).toEqual([
      { action: "reschedule", ids: ["1"], to: { runAt: "1970-01-01T00:00:00.000Z" } },
    ]);
    expect(undoOf({ action: "reschedule", to: { priority: 9, maxAttempts: 1 } }, [job("1")])?.steps).toEqual([
      { action: "reschedule", ids: ["1"], to: { priority: 0, maxAttempts: 3 } },
    ]);
  });

  it("is not there for what is deleted or told to stop, for nothing, and for too much", () => {
    for (const action of ["complete", "cancel", "remove"] as const) {
      expect(undoOf({ action }, [job("1")])).toBeNull();
      expect(isUndoable(action)).toBe(false);
    }
    expect(undoOf({ action: "retry" }, [])).toBeNull();
    const many = Array.from({ length: 101 }, (_, n) => job(String(n), { runAt: new Date(n) }));
    expect(undoOf({ action: "reschedule", to: { runIn: "5m" } }, many)).toBeNull();
    expect(undoOf({ action: "reschedule", to: { runIn: "5m" } }, many.slice(1))?.steps).toHaveLength(100);
    const endless = job("1", { runAt: new Date(8.64e15) });
    expect(undoOf({ action: "reschedule", to: { runIn: "5m" } }, [endless])).toBeNull();
  });
});
