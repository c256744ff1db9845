import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { createRecordingLogger } from "../../../test/harness/worker.ts";
import { createHooks } from "../../hooks/hooks.ts";
import type { Driver, Query, QueryResult } from "../../postgres/driver.ts";
import { createSchema } from "../../postgres/schema.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { HeldJobs } from "../held-jobs.ts";
import { Identity } from "../identity.ts";
import { Reporter } from "../reporter.ts";
import { LostClaims } from "./lost-claims.ts";
import { Refusals } from "./refusals.ts";

/** Lost claims over a database that gives back as many jobs of an id as `recover` says. */
function setUp(recover: (workerId: string) => Promise<number> = () => Promise.resolve(0), settledMs = 60_000) {
  const clock = createManualClock();
  const asked: string[] = [];
  const driver = {
    async query({ text, values = [] }: Query): Promise<QueryResult> {
      if (!text.includes("_howdah_recover_v1")) return { rows: [], count: 0 };
      const [workerId = ""] = /[^{}"]+/.exec(String(values[0])) ?? [];
      asked.push(workerId);
      const count = await recover(workerId);
      const row = ["recovered", "1", workerId, "t", "1", "f", null, null];
      return { rows: Array.from({ length: count }, () => row), count };
    },
  } as Driver;
  const held = new HeldJobs();
  const identity = new Identity(clock, held);
  const logger = createRecordingLogger();
  const reporter = new Reporter(createHooks({ logger }), logger, identity);
  const recovered = () => logger.entries.filter(({ level }) => level === "warn").map(({ fields }) => fields);
  const schema = createSchema("howdah");
  const refusals = new Refusals();
  const context = { clock, logger, driver, schema, identity, held, refusals, reporter, settings: { settledMs } };
  new LostClaims(context).start();
  /** Claims jobs under an id. */
  const claim = (workerId: string, ...ids: string[]): ClaimedJob[] => {
    const jobs = ids.map((id) => claimedJob({ id, queueId: id }, { workerId }));
    held.claimed(jobs);
    return jobs;
  };
  return { clock, held, claim, identity, asked, recovered, logger };
}

describe("lost claims", () => {
  it("stays the same while every claim is answered", async () => {
    const { clock, identity, asked, held, claim } = setUp();
    const id = identity.current;
    const [job] = claim(id, "1", "2");
    held.released(job as ClaimedJob);
    await clock.advance(600_000);
    expect(identity.current).toBe(id);
    expect(asked).toEqual([]);
  });

  it("claims under a new id after a claim whose answer was lost, and recovers the old one a minute later", async () => {
    const { clock, identity, asked, recovered } = setUp(() => Promise.resolve(3));
    const old = identity.current;
    identity.distrust(old);
    expect(identity.current).not.toBe(old);
    await clock.advance(59_000);
    expect(asked).toEqual([]);
    await clock.advance(20_000);
    expect(recovered()).toMatchObject([{ worker: old, jobs: 3 }]);
    await clock.advance(600_000);
    expect(asked).toEqual([old]);
  });

  it("recovers the old one as soon as no statement can be under way any more", async () => {
    const { clock, identity, asked } = setUp(undefined, 6_000);
    const old = identity.current;
    identity.distrust(old);
    await clock.advance(5_900);
    expect(asked).toEqual([]);
    await clock.advance(1_100);
    expect(asked).toEqual([old]);
  });

  it("recovers nothing while jobs are held under the old id", async () => {
    const { clock, identity, asked, held, claim } = setUp();
    const old = identity.current;
    const [first, second] = claim(old, "1", "2") as [ClaimedJob, ClaimedJob];
    identity.distrust(old);
    held.released(first);
    await clock.advance(600_000);
    expect(asked).toEqual([]);
    held.released(second);
    await clock.advance(20_000);
    expect(asked).toEqual([old]);
  });

  it("recovers what a run has left under its id, and goes on under another", async () => {
    const { clock, identity, asked, claim } = setUp();
    const old = identity.current;
    claim(old, "1", "2");
    identity.abandonHeld();
    expect(identity.current).not.toBe(old);
    expect(identity.all).toContain(old);
    await clock.advance(80_000);
    expect(asked).toEqual([old]);
    const next = identity.current;
    identity.abandonHeld();
    expect(identity.current).toBe(next);
  });

  it("tries again when recovering fails, and says so once", async () => {
    let failing = true;
    const { clock, identity, recovered, logger } = setUp(() =>
      failing ? Promise.reject(new Error("down")) : Promise.resolve(1),
    );
    const old = identity.current;
    identity.distrust(old);
    await clock.advance(200_000);
    expect(logger.messages("error")).toHaveLength(1);
    failing = false;
    await clock.advance(60_000);
    expect(recovered()).toMatchObject([{ worker: old, jobs: 1 }]);
  });

  it("that was declared dead is forgotten: another one takes its place, and others recover what it held", async () => {
    const { clock, identity, asked, claim } = setUp();
    const retired = identity.current;
    identity.distrust(retired);
    const dead = identity.current;
    claim(dead, "1");
    let changes = 0;
    identity.watch({ identityChanged: () => (changes += 1) });
    identity.forget(new Set([dead]));
    expect(identity.all).toEqual([identity.current, retired]);
    expect(identity.all).not.toContain(dead);
    expect(changes).toBe(1);
    identity.forget(new Set([retired]));
    expect(identity.all).toEqual([identity.current]);
    await clock.advance(600_000);
    expect(asked).toEqual([]);
  });
});
