import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createClaims, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules, endJobs, shapeQueues, type Rate } from "../../harness/shape-queues.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const { claim } = await createClaims(database);

const SECOND = 1_000_000;

async function fill(count: number, shape: { width: number; rate?: Rate }): Promise<void> {
  await database.sql(
    `with queue as (insert into howdah._private_job_queues (queue_name) values ('q') returning id)
     insert into howdah._private_jobs (task_id, job_queue_id, run_at)
     select 1, queue.id, now() - interval '1 hour' from queue cross join generate_series(1, $1)`,
    [count],
  );
  await shapeQueues(database, "q", shape);
}

describe("a queue with a rate", () => {
  it.each([1, 2, 3])(
    "starts what its bucket holds, in %i parts, and tells when the next may start",
    async (stripes) => {
      await fill(20, { width: 0, rate: { tokenUs: 10 * SECOND, burst: 5, stripes } });
      const answer = await claim({ quantity: 10 });
      expect(idsOf(answer)).toEqual([1, 2, 3, 4, 5]);
      const at = String(BigInt(answer.claimedAt) + BigInt(10 * SECOND * stripes));
      expect(answer).toMatchObject({ waits: [{ queueId: 1, at }], leftover: [], more: false });
      expect(await claim({ quantity: 10 })).toMatchObject({ jobs: [], waits: [{ queueId: 1, at }], more: false });
    },
  );

  it("starts again what has come into the bucket", async () => {
    await fill(20, { width: 0, rate: { tokenUs: 10 * SECOND, burst: 5 } });
    await claim({ quantity: 5 });
    await database.sql("update howdah._howdah_buckets set next_at = next_at - interval '20 s'");
    expect(idsOf(await claim({ quantity: 10 }))).toEqual([6, 7]);
  });

  it("needs a lane as well when it has lanes", async () => {
    await fill(20, { width: 2, rate: { tokenUs: 10 * SECOND, burst: 3 } });
    const first = await claim({ quantity: 10 });
    expect([idsOf(first), first.waits]).toEqual([[1, 2], []]);
    await endJobs(database, [1, 2]);
    const second = await claim({ quantity: 10 });
    expect([idsOf(second), second.waits.length]).toEqual([[3], 1]);
  });

  it("is named again while it has tokens and jobs, and nothing else would name it", async () => {
    await fill(20, { width: 0, rate: { tokenUs: SECOND, burst: 100 } });
    expect(await claim({ quantity: 5 })).toMatchObject({ leftover: [1], more: true });
  });

  it("does not wait when no job of it is due", async () => {
    await fill(3, { width: 0, rate: { tokenUs: 10 * SECOND, burst: 3 } });
    expect(await claim({ quantity: 10 })).toMatchObject({ waits: [] });
  });

  it("rests for the time of one token when the server's clock has been set back", async () => {
    await fill(3, { width: 0, rate: { tokenUs: 10 * SECOND, burst: 1 } });
    await database.sql("update howdah._howdah_buckets set next_at = now() + interval '1 hour'");
    const { jobs, waits, claimedAt } = await claim({});
    const tokenAt = Number(claimedAt) + 10 * SECOND;
    expect([jobs, waits]).toEqual([[], [{ queueId: 1, at: String(tokenAt) }]]);
    const [stored] = await database.sql("select howdah._howdah_us(next_at)::float8 as at from howdah._howdah_buckets");
    expect(stored?.["at"]).toBeGreaterThanOrEqual(tokenAt);
    expect(stored?.["at"]).toBeLessThan(tokenAt + 5 * SECOND);
  });

  it("tells until when it is parked, and that nothing is to be waited for in one that is paused", async () => {
    await fill(3, { width: 2 });
    await database.sql("update howdah._private_job_queues set _howdah_parked_until = '2100-01-01 00:00:00+00'");
    expect(await claim({})).toMatchObject({ jobs: [], waits: [{ queueId: 1, at: "4102444800000000" }] });
    await database.sql("update howdah._private_job_queues set _howdah_paused_until = 'infinity'");
    expect(await claim({})).toMatchObject({ jobs: [], waits: [] });
  });
});

describe("any rate that can be stored", () => {
  const DAY = 86_400_000_000;
  const rates = fc.record({
    tokenUs: fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: DAY }), fc.constant(DAY)),
    burst: fc.integer({ min: 1, max: 10_000 }),
    stripes: fc.integer({ min: 1, max: 16 }),
    nextAt: fc.constantFrom("-infinity", "infinity", "1970-01-01", "2999-01-01"),
    width: fc.constantFrom(0, 1, 3),
  });

  it("fails no claim, and none says that there is more without bringing it on", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(rates, async ({ nextAt, width, ...rate }) => {
        fc.pre(rate.tokenUs * rate.burst <= 366 * DAY && rate.burst >= rate.stripes);
        await emptyRules(database);
        await fill(4, { width, rate });
        await database.sql("insert into howdah._private_jobs (task_id) values (1), (1)");
        await database.sql("update howdah._howdah_buckets set next_at = $1", [nextAt]);
        let vain = 0;
        for (let claims = 0; claims < 8; claims += 1) {
          const { jobs, more } = await claim({ quantity: 3 });
          vain = more && jobs.length === 0 ? vain + 1 : 0;
          expect(vain).toBeLessThan(3);
        }
        expect(
          await database.sql("select from howdah._private_jobs where job_queue_id is null and locked_at is null"),
        ).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("eight claimers of one queue with a rate", () => {
  it.each([1, 4])("start in no time more than its bucket and the rate allow, in %i parts", async (stripes) => {
    const rate = { tokenUs: 5_000, burst: 8, stripes };
    await fill(3_000, { width: 0, rate });
    const starts: number[] = [];
    const deadline = systemClock.monotonic() + 1_500;
    await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const session = await database.connect();
        const claims = await createClaims(database, `w${index}`, session);
        while (systemClock.monotonic() < deadline) {
          const { jobs, claimedAt } = await claims.claim({ quantity: 6, queueIds: [1], windowAfter: null });
          for (const _job of jobs) starts.push(Number(claimedAt));
        }
        await session.end();
      }),
    );
    starts.sort((a, b) => a - b);
    expect(starts.length).toBeGreaterThan(150);
    const worst = Math.max(
      ...starts.flatMap((from, first) =>
        starts.slice(first, first + 60).map((to, count) => count + 1 - (rate.burst + (to - from) / rate.tokenUs)),
      ),
    );
    expect(worst).toBeLessThanOrEqual(1e-6);
  });
});
