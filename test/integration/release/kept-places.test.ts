import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { registerTasks, type StoredKeep } from "../../../src/postgres/queries/register-tasks.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createClaims, empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// In which partition what is kept ends up, and what happens when that is missing or full.
const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
const client = clientOver({ ...database, logger: silentLogger });
beforeEach(async () => {
  await empty(database);
  await database.sql("truncate howdah._howdah_history");
  await database.sql("drop table if exists howdah.part_a, howdah.part_b");
  await keep({ days: 7, payload: false, result: true });
});

async function keep(kept: StoredKeep): Promise<void> {
  await registerTasks(database.driver, database.schema, new Map([["t", { keep: kept }]]));
}

/** A partition of what is kept for these days, between two numbers of hours after now. */
const addPartition = (name: string, days: number, [from, to]: readonly [number, number]) =>
  database.sql(
    `do $$ begin execute format(
       'create table howdah.${name} partition of howdah._howdah_history_${days} for values from (%L) to (%L)',
       now() + interval '${from} hours', now() + interval '${to} hours'
     ); end $$`,
  );

/** Completes one more job. */
async function complete(): Promise<void> {
  await client.addJob("t");
  const { claimedAt, jobs } = await worker.claim();
  const kept = jobs.map(({ id }) => ({ id, result: '"done"', error: null, startedAt: null }));
  const { unreleased } = await worker.release({ claimTimes: [claimedAt], kept });
  expect(unreleased.size).toBe(0);
}

const places = async () =>
  (await database.sql("select tableoid::regclass::text as place from howdah._howdah_history order by id")).map(
    ({ place }) => place as string,
  );

describe("a job that is kept", () => {
  it("goes into the partition of its time, or where there is none into the rest, and is listed from both", async () => {
    await addPartition("part_a", 7, [-1, 1]);
    await complete();
    expect(await places()).toEqual(["howdah.part_a"]);
    // As retention does.
    await database.sql("alter table howdah._howdah_history_7 detach partition howdah.part_a");
    await complete();
    await keep({ days: 1, payload: false, result: true });
    await addPartition("part_b", 1, [5, 6]);
    await complete();
    expect(await places()).toEqual(["howdah._howdah_history_7_rest", "howdah._howdah_history_1_rest"]);
    expect((await client.history()).jobs.map(({ id }) => id)).toEqual(["3", "2"]);
    expect(await client.getJob("2")).toMatchObject({ state: "completed", result: "done" });
  });

  it("crosses the border of two partitions with the clock, forward and back", async () => {
    await addPartition("part_a", 7, [-2, 0]);
    await addPartition("part_b", 7, [1, 2]);
    await complete();
    // As a clock that was an hour and a half ahead would have dated it, and one that was behind.
    await database.sql("update howdah._howdah_history set finished_at = finished_at + interval '90 minutes'");
    await complete();
    await database.sql(
      "update howdah._howdah_history set finished_at = finished_at - interval '1 hour' where tableoid = 'howdah._howdah_history_7_rest'::regclass",
    );
    await complete();
    expect(await places()).toEqual(["howdah.part_b", "howdah.part_a", "howdah._howdah_history_7_rest"]);
    expect((await client.history()).jobs.map(({ id }) => id)).toEqual(["1", "3", "2"]);
    const { next } = await client.history({ limit: 1 });
    expect((await client.history({ limit: 1, after: next })).jobs.map(({ id }) => id)).toEqual(["3"]);
  });

  it("stays a job when history cannot be written, and is kept once it can", async () => {
    await client.addJob("t");
    const { claimedAt } = await worker.claim();
    // As a full disk does, with its SQLSTATE.
    await database.sql(`
      create function public.full() returns trigger language plpgsql as $$
        begin raise exception 'no space left on device' using errcode = '53100'; end $$;
      create trigger full_disk before insert on howdah._howdah_history for each row execute function public.full()`);
    const ended = { claimTimes: [claimedAt], kept: [{ id: "1", result: "1", error: null, startedAt: null }] };
    await expect(worker.release(ended)).rejects.toMatchObject({ code: "53100" });
    expect(await database.sql("select locked_by from howdah._private_jobs")).toEqual([{ locked_by: "w" }]);
    await database.sql("drop function public.full() cascade");
    await worker.release(ended);
    expect(await places()).toEqual(["howdah._howdah_history_7_rest"]);
  });
});

describe("claims", () => {
  it("read nothing of history, however much of it there is", async () => {
    await database.sql(
      `insert into howdah._howdah_history (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at)
       select 7, now() - n * interval '1 s', n + 1000, 't', 'c', 1, 25, 0, now(), now() from generate_series(1, 50000) as n`,
    );
    await client.addJobs(Array.from({ length: 20 }, () => ({ identifier: "t" })));
    const reads = async () => {
      await database.sql("select pg_stat_force_next_flush()").catch(() => undefined);
      const [row] = await database.sql(
        "select sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::int as scans from pg_stat_user_tables where relname like '\\_howdah\\_history%'",
      );
      return row?.["scans"] as number;
    };
    const session = await database.connect();
    const before = await reads();
    const { jobs } = await (await createClaims(database, "v", session)).claim();
    await session.end();
    expect(jobs).toHaveLength(10);
    await systemClock.sleep(1_200);
    expect(await reads()).toBe(before);
  });
});
