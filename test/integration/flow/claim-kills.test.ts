import { afterAll, expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";
import { createPool, overfull, shapeQueues } from "../../harness/shape-queues.ts";

const database = await createDatabase();
afterAll(() => database.drop());

const SECONDS = Number(process.env["HOWDAH_TEST_KILL_SECONDS"] ?? 6);
const RATE = { tokenUs: 50_000, burst: 6, stripes: 3 };

/** Their ids are their places, from 1. */
const NAMES = ["1", "2", "3", "4"]
  .flatMap((n) => ["wide", "rate", "pool", "serial"].map((kind) => kind + n))
  .concat("change1");
const CHANGING = String(NAMES.length);
const RATED = NAMES.flatMap((name, index) => (name.startsWith("rate") ? [String(index + 1)] : []));

async function fill(): Promise<void> {
  await database.sql("insert into howdah._private_job_queues (queue_name) select * from unnest($1::text[])", [NAMES]);
  await database.sql(
    `insert into howdah._private_jobs (task_id, job_queue_id, run_at)
     select 1, nullif(n % 18, 0), now() - interval '1 hour' + n * interval '1 ms' from generate_series(1, $1) as n`,
    [SECONDS * 2_500],
  );
  const poolId = await createPool(database, { width: 5 });
  await shapeQueues(database, "wide%", { width: 3 });
  await shapeQueues(database, "rate%", { width: 0, rate: RATE });
  await shapeQueues(database, "pool%", { width: 3, poolId });
  await shapeQueues(database, "change1", { width: 3 });
  await database.sql("create table public.shapes (width integer, changed_at timestamptz)");
}

/** Gives the queue that changes another number of lanes, as a change of rules does it. */
async function change(width: number): Promise<void> {
  await database.sql(`
    begin;
    select from howdah._private_job_queues where queue_name = 'change1' for update;
    select from howdah._howdah_lanes where owner_id = (
      select id from howdah._private_job_queues where queue_name = 'change1'
    ) order by lane for update;
    update howdah._private_job_queues set _howdah_width = ${width} where queue_name = 'change1';
    delete from howdah._howdah_lanes as lanes using howdah._private_job_queues as queues
    where queues.queue_name = 'change1' and lanes.owner_id = queues.id and lanes.lane > ${width} and lanes.locked_at is null;
    insert into howdah._howdah_lanes (owner_id, lane)
    select id, lane from howdah._private_job_queues cross join generate_series(1, ${width}) as lane
    where queue_name = 'change1' on conflict do nothing;
    delete from public.shapes;
    insert into public.shapes values (${width}, clock_timestamp());
    commit`);
}

/** What is wrong in one snapshot. */
async function problems(): Promise<string[]> {
  const [changing] = await database.sql(`
    select count(jobs.id)::int as jobs, max(shapes.width) as width
    from public.shapes
    join howdah._private_job_queues as queues on queues.queue_name = 'change1'
    left join howdah._private_jobs as jobs on jobs.job_queue_id = queues.id and jobs.locked_at > shapes.changed_at`);
  const { jobs = 0, width = 0 } = (changing ?? {}) as { jobs?: number; width?: number };
  const lines = await overfull(database);
  // Of the one that changes more may run until they end: those that started before.
  const others = lines.filter((line) => !line.startsWith(`${CHANGING}:`));
  return jobs > width ? [...others, `${jobs} started since the change to ${width}`] : others;
}

/**
 * As recovery does it: what the dead hold is free again. The server notices a moment later that one is dead, and may
 * still commit a claim until then; recovery waits for longer than that.
 */
async function recover(dead: readonly string[]): Promise<void> {
  const rows = await database.sql(
    "select application_name as name from pg_stat_activity where datname = current_database()",
  );
  const lingering = new Set(rows.map((row) => row["name"]));
  await database.sql(
    `with jobs as (update howdah._private_jobs set locked_at = null, locked_by = null where locked_by = any ($1)),
       queues as (update howdah._private_job_queues set locked_at = null, locked_by = null where locked_by = any ($1))
     update howdah._howdah_lanes set locked_at = null, locked_by = null where locked_by = any ($1)`,
    [dead.filter((worker) => !lingering.has(worker))],
  );
}

/** By how many jobs the starts of a queue are beyond its bucket, in the worst of all spans. */
function worstOf(starts: readonly number[]): number {
  const sorted = [...starts].sort((a, b) => a - b);
  let worst = Number.NEGATIVE_INFINITY;
  for (const [first, from] of sorted.entries()) {
    for (const [count, to] of sorted.slice(first, first + 60).entries()) {
      worst = Math.max(worst, count + 1 - (RATE.burst + (to - from) / RATE.tokenUs));
    }
  }
  return worst;
}

it(
  "claimers that are killed and cut off, beside changes of rules, never start more than rules let, and what they held is claimed again",
  { timeout: (SECONDS + 60) * 1000 },
  async () => {
    await fill();
    const crew = new Map<string, TestProcess>();
    const all: TestProcess[] = [];
    const dead: string[] = [];
    async function start(): Promise<void> {
      const worker = `howdah_${all.length}`;
      const options = { connectionString: database.connectionString, worker, slots: 8 };
      const started = await startNode(new URL("../fixtures/rules-claimer.mjs", import.meta.url), {
        args: [JSON.stringify(options)],
      });
      all.push(started);
      crew.set(worker, started);
      void started.ended.then(() => {
        crew.delete(worker);
        dead.push(worker);
      });
    }
    const found: string[] = [];
    let [samples, kills, cut, changes] = [0, 0, 0, 0];
    const startedAt = systemClock.monotonic();
    const seconds = () => (systemClock.monotonic() - startedAt) / 1000;
    while (seconds() < SECONDS) {
      while (crew.size < 4) await start();
      found.push(...(await problems()));
      samples += 1;
      if (seconds() > 1 + kills * 0.7) {
        // Not before it has begun.
        const victims = [...crew.values()].filter(({ lines }) => lines.length > 10);
        victims[Math.floor(Math.random() * victims.length)]?.kill();
        kills += 1;
      }
      if (seconds() > 1.2 + cut) {
        await database.sql(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '%_claim_v2%' limit 1",
        );
        cut += 1;
      }
      await change([3, 1, 5, 2][changes % 4] ?? 3);
      changes += 1;
      await recover(dead);
      await systemClock.sleep(10);
    }
    for (const one of all) one.kill();
    await Promise.all(all.map(({ ended }) => ended));
    await until(async () => {
      const sessions =
        "select from pg_stat_activity where datname = current_database() and application_name like 'howdah_%'";
      return (await database.sql(sessions)).length === 0;
    });
    await recover(dead);
    expect(found).toEqual([]);
    expect(await database.sql("select from howdah._private_jobs where locked_at is not null")).toEqual([]);
    expect(await database.sql("select from howdah._howdah_lanes where locked_at is not null")).toEqual([]);
    const starts = new Map<string, number[]>();
    for (const line of all.flatMap(({ lines }) => lines)) {
      const [, at = "", queueId = "", count = "0"] = line.split(" ");
      const known = starts.get(queueId) ?? [];
      starts.set(queueId, known);
      for (let job = 0; job < Number(count); job += 1) known.push(Number(at));
    }
    for (const queueId of RATED) {
      expect(starts.get(queueId)?.length ?? 0).toBeGreaterThan(RATE.burst / 2);
      expect(worstOf(starts.get(queueId) ?? [])).toBeLessThanOrEqual(1e-6);
    }
    expect([samples > SECONDS, kills > SECONDS / 4, changes > SECONDS]).toEqual([true, true, true]);
    if (process.env["HOWDAH_TEST_KILL_SECONDS"] !== undefined) {
      const counts = [...starts.values()].reduce((sum, { length }) => sum + length, 0);
      const worst = Math.max(...RATED.map((queueId) => worstOf(starts.get(queueId) ?? [])));
      process.stdout.write(`${JSON.stringify({ samples, kills, cut, changes, starts: counts, worst })}\n`);
    }
  },
);
