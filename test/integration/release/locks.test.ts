import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ReleaseWriterParts } from "../../../src/job/release/release-writer.ts";
import { Releaser } from "../../../src/job/release/releaser.ts";
import { ClaimedJob } from "../../../src/job/claimed-job.ts";
import type { ClaimAnswer } from "../../../src/postgres/queries/claim-answer.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { changeOf, createClaims, empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
beforeEach(() => empty(database));

/** N jobs without a queue and with a key: 1, 2, … */
async function add(count: number): Promise<void> {
  await database.sql("select howdah.add_job('t', job_key => n::text) from generate_series(1, $1) as n", [count]);
}

/** A user's transaction that holds the running job with this key, as a keyed add does. */
async function holdJob(key: string) {
  const user = await database.connect();
  await user.query("begin");
  await user.query("select from howdah._private_jobs where key = $1 for update", [key]);
  return user;
}

const statuses = ({ unreleased }: { unreleased: ReadonlyMap<string, string> }) => Object.fromEntries(unreleased);
const left = async () =>
  (await database.sql("select id::int, locked_by from howdah._private_jobs order by id")).map(
    (row) => row["id"] as number,
  );

describe("a release beside a transaction that holds one of its jobs", () => {
  it("gives up with 55P03 instead of waiting for it, and changes nothing", async () => {
    await add(3);
    const { claimedAt } = await worker.claim();
    const user = await holdJob("2");
    const ending = { claimTimes: [claimedAt], completed: ["1", "2"], changed: [changeOf(3)] };
    await expect(worker.release(ending)).rejects.toMatchObject({ code: "55P03" });
    expect(await left()).toEqual([1, 2, 3]);
    await user.query("rollback");
    expect(statuses(await worker.release(ending))).toEqual({});
    expect(await left()).toEqual([3]);
  });

  it("does not take rows that a trigger keeps for locked ones, patient or not", async () => {
    await add(3);
    const { claimedAt } = await worker.claim();
    await database.sql(`
      create function public.keep() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger keep before update or delete on howdah._private_jobs
      for each row when (old.id < 3) execute function public.keep()`);
    const user = await holdJob("3");
    const ending = { claimTimes: [claimedAt], completed: ["1"], changed: [changeOf(2)] };
    expect(statuses(await worker.release(ending))).toEqual({ 1: "kept", 2: "kept" });
    const all = { ...ending, completed: ["1", "3"], patient: false };
    expect(statuses(await worker.release(all))).toEqual({ 1: "kept", 2: "kept", 3: "busy" });
    await user.query("rollback");
    await database.sql("drop function public.keep() cascade");
    expect(statuses(await worker.release(all))).toEqual({});
  });

  it("steps over that job when it is not patient, completed or changed, and says which is busy", async () => {
    await add(4);
    const { claimedAt } = await worker.claim();
    const users = [await holdJob("2"), await holdJob("3")];
    const ending = {
      claimTimes: [claimedAt],
      completed: ["1", "2"],
      changed: [changeOf(3), changeOf(4)],
      patient: false,
    };
    const answer = await worker.release(ending);
    expect(statuses(answer)).toEqual({ 2: "busy", 3: "busy" });
    expect([...answer.runAts.keys()]).toEqual(["4"]);
    for (const user of users) await user.query("rollback");
    expect(statuses(await worker.release(ending))).toEqual({ 1: "gone", 4: "lost" });
  });

  it("is not stopped by a wait for the queue either: only the unlocking is tried again", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    const { claimedAt } = await worker.claim();
    const user = await database.connect();
    await user.query("begin");
    await user.query("select from howdah._private_job_queues for update");
    const chainEnds = [{ queueId: 1, lastJobId: "1", claimedAt }];
    const ending = { claimTimes: [claimedAt], completed: ["1"] };
    await expect(worker.release({ ...ending, chainEnds })).rejects.toMatchObject({ code: "55P03" });
    expect(statuses(await worker.release(ending))).toEqual({});
    await user.query("rollback");
    expect(statuses(await worker.release({ claimTimes: [claimedAt], chainEnds }))).toEqual({});
    expect(await database.sql("select locked_by from howdah._private_job_queues")).toEqual([{ locked_by: null }]);
  });

  it("lets a user's keyed add through as soon as it commits", async () => {
    await add(1);
    const { claimedAt } = await worker.claim();
    await worker.release({ claimTimes: [claimedAt], changed: [changeOf(1, { message: "no", delayMs: 60_000 })] });
    const [row] = await database.sql("select id::int, revision from howdah.add_job('t', job_key => '1')");
    expect(row).toEqual({ id: 1, revision: 1 });
  });
});

describe("a releaser beside a transaction that holds one of its jobs", () => {
  function createReleaser() {
    const released: string[] = [];
    const freed: number[] = [];
    const settings = { completeJobBatchDelayMs: 0, failJobBatchDelayMs: 0 };
    const parts: ReleaseWriterParts = {
      statements: worker,
      listener: {
        released: ({ job }) => released.push(job.id),
        refused: ({ job }) => expect.unreachable(`job ${job.id} was refused`),
        unknown: ({ job }) => expect.unreachable(`job ${job.id} is not known`),
        freed: (queueIds) => freed.push(...queueIds),
        lanesFreed: () => expect.unreachable(),
        failed: (error) => expect.unreachable(String(error)),
        stuck: (_, error) => expect.unreachable(String(error)),
      },
    };
    const releaser = new Releaser({ clock: systemClock, settings }, parts);
    return { releaser, released, freed };
  }
  const jobsOf = ({ jobs, claimedAt }: ClaimAnswer) =>
    jobs.map(
      (row) =>
        new ClaimedJob(row, {
          workerId: "w",
          claimedAt,
          claimedAtUs: 0,
          sentAt: 0,
          taskIdentifiers: new Map([[1, "t"]]),
        }),
    );

  it("releases the 99 others meanwhile, and that one when the transaction ends", async () => {
    await add(100);
    const jobs = jobsOf(await worker.claim({ quantity: 100 }));
    const user = await holdJob("50");
    const { releaser, released } = createReleaser();
    for (const job of jobs) releaser.add({ job, outcome: { kind: "completed" }, durationMs: 1, endsChain: false });
    await until(() => released.length === 99);
    expect(await left()).toEqual([50]);
    await user.query("commit");
    await releaser.flush();
    expect(released.at(-1)).toBe("50");
    expect(await left()).toEqual([]);
  });

  it("unlocks the queues of the others meanwhile, and that of the held job with it", async () => {
    await database.sql(
      "select howdah.add_job('t', queue_name => 'q' || n, job_key => n::text) from generate_series(1, 5) as n",
    );
    const jobs = jobsOf(await worker.claim());
    const user = await holdJob("3");
    const { releaser, released, freed } = createReleaser();
    for (const job of jobs) releaser.add({ job, outcome: { kind: "completed" }, durationMs: 1, endsChain: true });
    await until(() => freed.length === 4);
    const locked = await database.sql("select id from howdah._private_job_queues where locked_at is not null");
    expect(locked).toEqual([{ id: 3 }]);
    await user.query("commit");
    await releaser.flush();
    expect([released.length, freed.at(-1)]).toEqual([5, 3]);
  });

  it("unlocks the queue of a job that ended before its handler, once both are over", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q', job_key => 'k')");
    const [job] = jobsOf(await worker.claim());
    if (!job) throw new Error("nothing was claimed");
    const user = await holdJob("k");
    const { releaser, released, freed } = createReleaser();
    releaser.add({
      job,
      outcome: { kind: "interrupted", reason: "lost", delayMs: 0 },
      durationMs: 1,
      endsChain: false,
    });
    // The handler settles while another session still holds the row.
    releaser.endChain(job);
    await until(async () => {
      const [row] = await database.sql(
        "select count(*)::int as waits from pg_stat_activity where wait_event = 'transactionid' and datname = current_database()",
      );
      return row?.["waits"] === 1;
    });
    await user.query("rollback");
    await releaser.flush();
    expect([released, freed]).toEqual([["1"], [1]]);
    expect(await database.sql("select locked_by from howdah._private_job_queues")).toEqual([{ locked_by: null }]);
  });

  it.each(["error \u0000 with a null byte", "half a pair \ud800"])(
    "stores %j, or says that it could not, and loses no other ending",
    async (message) => {
      await add(3);
      const jobs = jobsOf(await worker.claim());
      const { releaser, released } = createReleaser();
      for (const job of jobs) {
        const text = job.id === "2" ? message : "fine";
        const outcome = { kind: "failed", final: false, error: text, message: text, delayMs: 60_000 } as const;
        releaser.add({ job, outcome, durationMs: 1, endsChain: false });
      }
      await releaser.flush();
      expect(released.sort()).toEqual(["1", "2", "3"]);
      const rows = await database.sql("select last_error, locked_at from howdah._private_jobs order by id");
      expect(rows.map((row) => row["locked_at"])).toEqual([null, null, null]);
      expect([rows[0]?.["last_error"], rows[2]?.["last_error"]]).toEqual(["fine", "fine"]);
      expect(rows[1]?.["last_error"]).toMatch(/could not be stored|half a pair/);
    },
  );
});
