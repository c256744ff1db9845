import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, silentLogger, type QueueRules } from "../../../src/index.ts";
import type { ClaimedRow } from "../../../src/postgres/queries/claimed-row.ts";
import type { ChainEnd } from "../../../src/postgres/queries/ending/release-request.ts";
import { sweepRules } from "../../../src/postgres/queries/queue-rules.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createClaims } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyFlow } from "../../harness/flow.ts";
import { until } from "../../harness/until.ts";

// Rules that change while several workers claim from the queues, and release what they have claimed.
const database = await createDatabase();
const client = await createClient({
  connectionString: database.connectionString,
  logger: silentLogger,
  migrate: false,
});
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => emptyFlow(database));

const target = { executor: database.driver, schema: database.schema };
const QUEUES = ["q1", "q2", "q3"];

/** Where the chain of this job ends: it is one job long. */
function endsOf({ id, queueId, lane, pool }: ClaimedRow, claimedAt: string): ChainEnd[] {
  if (queueId === null) return [];
  const end = { queueId, lastJobId: id, claimedAt };
  const own = lane === null ? [end] : lane > 0 ? [{ ...end, lane }] : [];
  return pool ? [...own, { ...end, queueId: -pool.id, lane: pool.lane }] : own;
}

/** Claims and releases until it is stopped and there is nothing left. */
async function work(name: string, stopping: AbortSignal): Promise<number> {
  const session = await database.connect();
  const claims = await createClaims(database, name, session);
  let started = 0;
  for (let idle = 0; !(stopping.aborted && idle > 20);) {
    const { jobs, claimedAt } = await claims.claim({ quantity: 6, mostQueues: 6 });
    idle = jobs.length === 0 ? idle + 1 : 0;
    started += jobs.length;
    await systemClock.sleep(jobs.length === 0 ? 10 : 3);
    if (jobs.length === 0) continue;
    const chainEnds = jobs.flatMap((job) => endsOf(job, claimedAt));
    const ended = { claimTimes: [claimedAt], completed: jobs.map(({ id }) => id), chainEnds };
    await until(
      () =>
        claims.release(ended).then(
          ({ unreleased }) => unreleased.size === 0,
          // A change of rules held the queue for longer than a release waits.
          () => false,
        ),
      { message: "a release" },
    );
  }
  await session.end();
  return started;
}

/** Queues of which more runs than they let, counting only what began since this time. */
async function overfull(since: string): Promise<unknown[]> {
  return database.sql(
    `select queue.queue_name, queue._howdah_width as width, running.jobs, running.newer, held.lanes
     from howdah._private_job_queues as queue
     cross join lateral (
       select count(*)::int as jobs, count(*) filter (where locked_at > howdah._howdah_at($1))::int as newer
       from howdah._private_jobs as jobs where job_queue_id = queue.id and locked_at is not null
     ) as running
     cross join lateral (
       select count(*)::int as lanes from howdah._howdah_lanes as lanes where owner_id = queue.id and locked_at is not null
     ) as held
     where queue._howdah_width is null and queue._howdah_rules_revision >= 0 and running.jobs > 1
       or queue._howdah_width > 0 and running.newer > queue._howdah_width
       or queue._howdah_width > 0 and running.newer > held.lanes`,
    [since],
  );
}

const SHAPES: readonly (QueueRules | null)[] = [
  null,
  { concurrency: 1 },
  { concurrency: 3 },
  { concurrency: "unlimited" },
  { concurrency: 2, rate: { limit: 500, per: "1s", burst: 40 } },
  null,
  { concurrency: "unlimited", rate: { limit: 400, per: "1s" } },
  { concurrency: 5, pool: "p" },
];

describe("four workers and a change of rules every few milliseconds", () => {
  it("run no serial queue twice at a time, none wider than its rules since they were set, and leave no lane behind", async () => {
    await client.setQueuePool("p", { concurrency: 4 });
    await database.sql(
      "select howdah.add_job('t', queue_name => 'q' || (1 + n % 3), run_at => now() - interval '1 h') from generate_series(1, 6000) as n",
    );
    const stopping = new AbortController();
    const workers = ["a", "b", "c", "d"].map((name) => work(name, stopping.signal));
    const found: unknown[] = [];
    let samples = 0;
    for (let round = 0; round < 60; round += 1) {
      const rules = SHAPES[(round * 5 + Math.floor(round / 8)) % SHAPES.length] ?? null;
      await client.setQueueRules(QUEUES[round % 3] ?? "q1", rules);
      if (round % 4 === 0) await sweepRules(target, 0);
      const [time] = await database.sql("select howdah._howdah_us(clock_timestamp())::text as us");
      for (let sample = 0; sample < 3; sample += 1) {
        found.push(...(await overfull(String(time?.["us"]))));
        samples += 1;
      }
    }
    for (const name of QUEUES) await client.setQueueRules(name, { concurrency: 20 });
    await until(
      async () => {
        await sweepRules(target, 0);
        return (await database.sql("select from howdah._private_jobs limit 1")).length === 0;
      },
      { message: "all jobs to end", deadlineMs: 25_000 },
    );
    stopping.abort();
    const started = (await Promise.all(workers)).reduce((sum, count) => sum + count, 0);
    expect({ found, samples, started }).toEqual({ found: [], samples: 180, started: 6000 });
    expect(await database.sql("select from howdah._howdah_lanes where locked_at is not null")).toEqual([]);
    expect(await client.setQueuePool("p", null)).toBe(true);
  });
});
