import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createReleaseAndContinue } from "../../../src/postgres/queries/ending/release-and-continue.ts";
import { blockedBy } from "../../harness/blocked.ts";
import { createClaims, driverOf, empty, idsOf, jobsById, stopAtRow } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// A statement that completes the job of a serial queue and takes the next one, while the queue stays locked.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await empty(database);
  await database.sql("delete from howdah._howdah_paused_tasks");
});
const worker = await createClaims(database);
const other = await createClaims(database, "other");
const releaseAndContinue = createReleaseAndContinue(database.driver, database.schema);

async function add(count: number, queue = "q"): Promise<void> {
  await database.sql(
    "select howdah.add_job('t', queue_name => $2, run_at => now() - (1000 - n) * interval '1 s') from generate_series(1, $1) as n",
    [count, queue],
  );
}

/** The first job of each queue is claimed: the statement that completes these and goes on. */
async function claimed() {
  const { jobs, claimedAt } = await worker.claim();
  const queued = jobs.filter(({ queueId }) => queueId !== null);
  const release = {
    workerId: "w",
    claimTimes: [claimedAt],
    completed: jobs.map(({ id }) => id),
    changed: [],
    chainEnds: queued.map(({ id, queueId }) => ({ queueId: Number(queueId), lastJobId: id, claimedAt })),
    patient: true,
  };
  const queues = queued.map(({ id, queueId, priority, runAt }) => {
    return { queueId: Number(queueId), priority, floor: { at: runAt, id } };
  });
  const request = { workerId: "w", taskIds: [1], forbiddenFlags: ["x"], queues };
  const goOn = () => releaseAndContinue(release, request);
  return { release, request, claimedAt, goOn };
}

const ids = ({ jobs }: { jobs: readonly { id: string }[] }) => jobs.map(({ id }) => Number(id));
const left = async () => Object.keys(await jobsById(database)).map(Number);
const queues = () =>
  database.sql(
    "select locked_by, howdah._howdah_us(locked_at)::text as at from howdah._private_job_queues order by id",
  );
const FREE = { locked_by: null, at: null };

describe("a release that goes on in its queue", () => {
  it("completes the job and locks the next one, with its queue, under one new time", async () => {
    await add(3);
    const { claimedAt, goOn } = await claimed();
    const answer = await goOn();
    expect([ids(answer), await left()]).toEqual([[2], [2, 3]]);
    expect(BigInt(answer.claimedAt)).toBeGreaterThan(BigInt(claimedAt));
    expect(await queues()).toEqual([{ locked_by: "w", at: answer.claimedAt }]);
    expect(answer.jobs[0]).toMatchObject({ queueId: 1, queueName: "q", attempts: 1, priority: 0, maxAttempts: 25 });
    const [row] = await database.sql(
      "select locked_by, attempts, howdah._howdah_us(locked_at)::text as at from howdah._private_jobs where id = 2",
    );
    expect(row).toEqual({ locked_by: "w", attempts: 1, at: answer.claimedAt });
    expect(idsOf(await other.claim())).toEqual([]);
  });

  it("ends, after the last job, as any release does", async () => {
    await add(2);
    const { goOn } = await claimed();
    const { claimedAt } = await goOn();
    const chainEnds = [{ queueId: 1, lastJobId: "2", claimedAt }];
    const answer = await worker.release({ claimTimes: [claimedAt], completed: ["2"], chainEnds });
    expect([answer.unreleased, await left(), await queues()]).toEqual([new Map(), [], [FREE]]);
  });

  it("goes on in several queues, and unlocks the one that has no further job", async () => {
    await add(2, "q");
    await add(1, "r");
    await add(2, "s");
    const { goOn } = await claimed();
    const answer = await goOn();
    expect(ids(answer)).toEqual([2, 5]);
    expect((await queues()).map((row) => row["locked_by"])).toEqual(["w", null, "w"]);
  });

  it("completes jobs without a queue as well", async () => {
    await add(2);
    await database.sql("select howdah.add_job('t')");
    const { goOn } = await claimed();
    expect([ids(await goOn()), await left()]).toEqual([[2], [2]]);
  });

  it.each([
    ["is of another task", "update howdah._private_jobs set task_id = 999 where id = 2"],
    ["has a forbidden flag", `update howdah._private_jobs set flags = '{"x": true}' where id = 2`],
    ["has no attempt left", "update howdah._private_jobs set attempts = 25 where id = 2"],
  ])("steps over the next job when it %s, as a claim does", async (_, change) => {
    await add(3);
    const { goOn } = await claimed();
    await database.sql(change);
    expect(ids(await goOn())).toEqual([3]);
  });

  it.each([
    ["is scheduled", "update howdah._private_jobs set run_at = now() + interval '1 hour' where id = 2"],
    ["has another priority", "update howdah._private_jobs set priority = 1 where id = 2"],
    [
      "is locked, which no worker of ours can be the cause of",
      "update howdah._private_jobs set locked_at = now(), locked_by = 'foreign' where id = 2",
    ],
    ["was removed", "delete from howdah._private_jobs where id = 2"],
    ["was moved to another queue", "update howdah._private_jobs set job_queue_id = null where id = 2"],
    ["is in a queue that is paused", "update howdah._private_job_queues set _howdah_paused_until = 'infinity'"],
    ["is of a task that is paused", "insert into howdah._howdah_paused_tasks values ('t', 'infinity')"],
    ["comes at a time when any task is paused", "insert into howdah._howdah_paused_tasks values ('u', 'infinity')"],
  ])("unlocks the queue and takes nothing when the next job %s", async (_, change) => {
    await add(2);
    const { goOn } = await claimed();
    await database.sql(change);
    expect([ids(await goOn()), await queues()]).toEqual([[], [FREE]]);
    expect(await left()).not.toContain(1);
  });

  it("leaves a job behind the one that is locked alone", async () => {
    await add(3);
    const { goOn } = await claimed();
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'foreign' where id = 2");
    expect([ids(await goOn()), await queues()]).toEqual([[], [FREE]]);
  });

  it("finds a job that was committed late, less than 200 ms behind where the queue was seen", async () => {
    const session = await database.connect();
    await session.query("begin");
    await session.query("insert into howdah._private_job_queues (queue_name) values ('q')");
    await session.query(`
      insert into howdah._private_jobs (task_id, run_at, job_queue_id, locked_at, locked_by)
      select 1, now() - late * interval '1 ms', 1, case when late = 50 then now() end, case when late = 50 then 'w' end
      from unnest(array[150, 50]) as late`);
    await session.query("update howdah._private_job_queues set locked_at = now(), locked_by = 'w'");
    const { rows } = await session.query(
      "select howdah._howdah_us(run_at)::text as at, howdah._howdah_us(now())::text as now from howdah._private_jobs where id = 2",
    );
    const [{ at, now } = { at: "", now: "" }] = rows as { at: string; now: string }[];
    const chainEnds = [{ queueId: 1, lastJobId: "2", claimedAt: now }];
    const release = { workerId: "w", claimTimes: [now], completed: ["2"], changed: [], chainEnds, patient: true };
    const known = [{ queueId: 1, priority: 0, floor: { at, id: "2" } }];
    const request = { workerId: "w", taskIds: [1], forbiddenFlags: null, queues: known };
    const answer = await createReleaseAndContinue(driverOf(session), database.schema)(release, request);
    await session.query("rollback");
    expect(ids(answer)).toEqual([1]);
  });

  it.each([
    ["another worker has the queue", "update howdah._private_job_queues set locked_by = 'other'"],
    ["the queue was claimed again", "update howdah._private_job_queues set locked_at = 'epoch'"],
    ["an operator has unlocked the queue", "update howdah._private_job_queues set locked_at = null, locked_by = null"],
  ])("takes nothing and leaves the queue as it is when %s", async (_, change) => {
    await add(2);
    const { goOn } = await claimed();
    await database.sql(change);
    const before = await queues();
    expect([ids(await goOn()), await queues(), await left()]).toEqual([[], before, [2]]);
  });

  it.each([
    ["is lost", "update howdah._private_jobs set locked_by = 'other' where id = 1"],
    ["is gone", "delete from howdah._private_jobs where id = 1"],
  ])("does nothing at all when the completed job %s", async (_, change) => {
    await add(2);
    const { goOn } = await claimed();
    await database.sql(change);
    const before = [await jobsById(database), await queues()];
    await expect(goOn()).rejects.toMatchObject({ code: "HWPRT" });
    expect([await jobsById(database), await queues()]).toEqual(before);
  });

  it("does nothing at all, after 100 ms, while another transaction holds the completed job or the queue", async () => {
    await add(2);
    const { goOn } = await claimed();
    const before = [await jobsById(database), await queues()];
    const session = await database.connect();
    for (const held of ["_private_jobs where id = 1", "_private_job_queues"]) {
      await session.query(`begin; select from howdah.${held} for update`);
      await expect(goOn()).rejects.toMatchObject({ code: "55P03" });
      expect([await jobsById(database), await queues()]).toEqual(before);
      await session.query("rollback");
    }
    expect(ids(await goOn())).toEqual([2]);
  });

  it("takes no job that is given a worse priority before it is locked", async () => {
    await add(3);
    const { release, request } = await claimed();
    const session = await database.connect();
    // It would wait 100 ms for the one that stops it.
    const changed = "alter function howdah._howdah_release_and_continue_v1 set lock_timeout =";
    await database.sql(`${changed} '30s'`);
    const stop = await stopAtRow(database, session, "_private_jobs", 2);
    try {
      const goesOn = createReleaseAndContinue(driverOf(session), database.schema)(release, request);
      await blockedBy(database, stop.session);
      await database.sql("select howdah.reschedule_jobs('{2}', priority => 7)");
      await stop.pass();
      expect([ids(await goesOn), await queues()]).toEqual([[], [FREE]]);
    } finally {
      await stop.remove();
      await database.sql(`${changed} '100ms'`);
    }
  });

  it("waits for no next job that another transaction holds: it unlocks the queue, and a claim takes what it can", async () => {
    await add(3);
    const { goOn } = await claimed();
    const session = await database.connect();
    await session.query("begin; select from howdah._private_jobs where id = 2 for update");
    expect([ids(await goOn()), await queues()]).toEqual([[], [FREE]]);
    expect(idsOf(await worker.claim())).toEqual([3]);
    await session.query("rollback");
  });
});
