import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
  await database.sql("insert into howdah._private_tasks (identifier) values ('t') on conflict do nothing");
  await database.sql("update howdah._howdah_sweeper set orphans_at = '-infinity'");
});

const OURS = "howdah_0123456789abcdef01";

/** Registers a worker and returns the heartbeat that a sweeper sees. */
async function beat(id: string): Promise<string> {
  await database.sql("select howdah.worker_heartbeat($1)", [id]);
  const [row] = await database.sql(
    "select howdah._howdah_us(last_heartbeat_at)::text as beat from howdah._private_workers where id = $1",
    [id],
  );
  return row?.["beat"] as string;
}

/** Locks one more job under this id, N minutes ago. */
const hold = (id: string, minutes: number) =>
  database.sql(
    `insert into howdah._private_jobs (task_id, attempts, locked_by, locked_at)
     select id, 1, $1, now() - $2 * interval '1 minute' from howdah._private_tasks where identifier = 't'`,
    [id, minutes],
  );

describe("the absence of a worker", () => {
  const note = async (seen: string, longestGapMs: number) =>
    (
      await database.sql("select absent_ms from howdah._howdah_note_absence_v1(array['w'], array[$1]::bigint[], $2)", [
        seen,
        longestGapMs,
      ])
    ).map((row) => row["absent_ms"] as number);
  const lookedAt = (ago: string) =>
    database.sql("update howdah._private_workers set _howdah_absent_until = now() - $1::interval", [ago]);

  it("adds up from look to look, and of a long time without a look counts the longest gap only", async () => {
    const seen = await beat("w");
    expect(await note(seen, 2_000)).toEqual([0]);
    await lookedAt("1 hour");
    expect(await note(seen, 2_000)).toEqual([2_000]);
    await lookedAt("500 ms");
    const [absentMs] = await note(seen, 3_600_000);
    expect(absentMs).toBeGreaterThanOrEqual(2_500);
    expect(absentMs).toBeLessThan(3_602_000);
    // Of before a clock was set back.
    await lookedAt("-1 hour");
    expect(await note(seen, 2_000)).toEqual([absentMs]);
  });

  it("begins anew with another heartbeat, and one that was seen before says nothing", async () => {
    const seen = await beat("w");
    await note(seen, 2_000);
    await lookedAt("1 hour");
    await note(seen, 2_000);
    const next = await beat("w");
    await lookedAt("1 hour");
    expect(await note(seen, 2_000)).toEqual([]);
    expect(await note(next, 2_000)).toEqual([0]);
  });
});

describe("a worker that is declared dead", () => {
  it("is one whose heartbeat is still the one that was seen, once", async () => {
    const seen = await beat("w");
    const other = await beat("other");
    const next = await beat("w");
    const declare = async (beats: readonly string[]) =>
      (
        await database.sql("select id from howdah._howdah_declare_dead_v1(array['w', 'other'], $1::bigint[])", [beats])
      ).map((row) => row["id"]);
    expect(await declare([seen, other])).toEqual(["other"]);
    expect(await database.sql("select id, _howdah_swept as swept from howdah._private_workers order by id")).toEqual([
      { id: "other", swept: 1 },
      { id: "w", swept: 0 },
    ]);
    expect(await declare([next, other])).toEqual(["w"]);
    expect(await declare([next, other])).toEqual([]);
  });
});

describe("a recovery of jobs", () => {
  const RECOVER = "select kind from howdah._howdah_recover_v1(array[$1], 0, null, $2)";
  const recover = async (quantity: number) => (await database.sql(RECOVER, [OURS, quantity])).map((row) => row["kind"]);

  it("says what is left: what it did not take, and what another session has locked", async () => {
    for (let jobs = 0; jobs < 3; jobs += 1) await hold(OURS, 0);
    expect(await recover(2)).toEqual(["recovered", "recovered", "left"]);
    const user = await database.connect();
    await user.query("begin; select from howdah._private_jobs where locked_by is not null for update");
    expect(await recover(2)).toEqual(["left"]);
    await user.query("rollback");
    expect(await recover(2)).toEqual(["recovered"]);
    expect(await recover(2)).toEqual([]);
  });

  it("gives nothing back, and says so, while another one is under way", async () => {
    await hold(OURS, 0);
    await hold(OURS, 0);
    const other = await database.connect();
    await other.query("begin");
    expect((await other.query(RECOVER, [OURS, 1])).rows).toEqual([{ kind: "recovered" }, { kind: "left" }]);
    expect(await recover(2)).toEqual(["busy"]);
    await other.query("commit");
    expect(await recover(2)).toEqual(["recovered"]);
  });
});

describe("holders that are not registered", () => {
  const MINUTE = 60_000;
  const orphans = async (intervalMs: number | null = null) =>
    (
      await database.sql("select id from howdah._howdah_orphans_v1($1, $2, $3)", [intervalMs, 5 * MINUTE, 60 * MINUTE])
    ).map((row) => row["id"]);

  it("count by their newest lock when the id is one of ours, and by their oldest one when it is not", async () => {
    for (const minutes of [90, 1]) {
      await hold(OURS, minutes);
      await hold("pool-1", minutes);
    }
    await hold("pool-2", 30);
    await hold("howdah_0123456789abcdef02", 10);
    expect(await orphans()).toEqual(["howdah_0123456789abcdef02", "pool-1"]);
    await beat("pool-1");
    expect(await orphans()).toEqual(["howdah_0123456789abcdef02"]);
  });

  it("are looked for once in the interval, by any worker, and again when a clock was set back", async () => {
    await hold("pool-1", 90);
    expect(await orphans(MINUTE)).toEqual(["pool-1"]);
    expect(await orphans(MINUTE)).toEqual([]);
    expect(await orphans()).toEqual(["pool-1"]);
    await database.sql("update howdah._howdah_sweeper set orphans_at = now() - interval '2 minutes'");
    expect(await orphans(MINUTE)).toEqual(["pool-1"]);
    await database.sql("update howdah._howdah_sweeper set orphans_at = now() + interval '1 hour'");
    expect(await orphans(MINUTE)).toEqual(["pool-1"]);
  });
});
