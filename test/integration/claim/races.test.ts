import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { START } from "../../../src/postgres/position.ts";
import { blockedBy } from "../../harness/blocked.ts";
import { createClaims, empty, idsOf, jobsById, stopAtRow } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// What happens between the moment at which a claim sees rows and the moment at
// which it locks them.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => empty(database));
const { claim } = await createClaims(database);
const other = await createClaims(database, "other");

async function add(count: number, queue: string | null = null): Promise<void> {
  await database.sql(
    `select howdah.add_job('t', queue_name => $2, job_key => coalesce($2, '') || n, run_at => now() - (100 - n) * interval '1 s')
     from generate_series(1, $1) as n`,
    [count, queue],
  );
}

interface Race {
  readonly table: "_private_jobs" | "_private_job_queues";
  /** Where the claim stops: at the nth row of the table that it looks at. */
  readonly nth: number;
  /** What others do meanwhile. */
  readonly meanwhile: () => Promise<unknown>;
  readonly afterwards?: () => Promise<unknown>;
}

/** Ten jobs without a queue are looked for by probes of their priority first; the claim itself begins at look 2. */
const JOBS = { table: "_private_jobs", nth: 2 } as const;
/** A queue is looked at for its head, and then to be locked. */
const QUEUE = { table: "_private_job_queues", nth: 2 } as const;

async function claimBeside({ table, nth, meanwhile, afterwards }: Race, wanted: Parameters<typeof claim>[0] = {}) {
  const session = await database.connect();
  const claims = await createClaims(database, "w", session);
  const stop = await stopAtRow(database, session, table, nth);
  try {
    const claiming = claims.claim({ windowAfter: null, ...wanted });
    await blockedBy(database, stop.session);
    await meanwhile();
    await stop.pass();
    return await claiming;
  } finally {
    await afterwards?.();
    await stop.remove();
  }
}

const give = "update howdah._private_jobs set locked_at = null, locked_by = null, attempts = 0";
const take = "update howdah._private_jobs set locked_at = now(), locked_by = 'other', attempts = 1";

describe("a claim of ten jobs, when the fifth is changed before it is locked", () => {
  it.each([
    [
      "is replaced by its key in place",
      "select howdah.add_job('t', '[1]', run_at => now() - interval '95 s', job_key => '5')",
    ],
    ["is claimed and given back elsewhere", `${take} where id = 5; ${give} where id = 5`],
    ["gets another number of attempts", "select howdah.reschedule_jobs('{5}', attempts => 3)"],
  ])("takes all ten when it %s", async (_, change) => {
    await add(10);
    const answer = await claimBeside({ ...JOBS, meanwhile: () => database.sql(change) });
    expect(idsOf(answer)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const jobs = Object.values(await jobsById(database));
    expect(jobs.filter((job) => job["locked_by"] === "w")).toHaveLength(10);
  });

  it.each([
    [
      "is replaced by its key in place",
      "select howdah.add_job('t', '[1]', run_at => now() - interval '95 s', job_key => '5')",
    ],
    ["is claimed and given back elsewhere", `${take} where id = 5; ${give} where id = 5`],
  ])(
    "leaves the fifth to an announcement, or to a scan of the head, when it %s beside a claim from a floor",
    async (_, change) => {
      await add(10);
      const levels = [{ priority: 0, floor: { at: "0", id: "0" } }];
      const answer = await claimBeside({ ...JOBS, nth: 1, meanwhile: () => database.sql(change) }, { levels });
      expect(idsOf(answer)).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10]);
      expect(
        idsOf(
          await claim({ levels: answer.levels.map(({ priority, floor }) => ({ priority, floor: floor ?? START })) }),
        ),
      ).toEqual([]);
      expect(idsOf(await claim({ levels }))).toEqual([5]);
    },
  );

  it.each([
    ["claimed elsewhere", `${take} where id = 5`],
    ["removed", "select howdah.remove_job('5')"],
    ["put off", "select howdah.reschedule_jobs('{5}', run_at => now() + interval '1 day')"],
    [
      "moved to a queue",
      "select howdah.add_job('t', queue_name => 'q', run_at => now() - interval '95 s', job_key => '5')",
    ],
    ["given another task", "select howdah.add_job('unknown', run_at => now() - interval '95 s', job_key => '5')"],
    ["failed for good", "select howdah.permanently_fail_jobs('{5}')"],
  ])("takes the nine others when it is %s", async (_, change) => {
    await add(10);
    const answer = await claimBeside({ ...JOBS, meanwhile: () => database.sql(change) });
    expect(idsOf(answer)).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10]);
    const { 5: fifth } = await jobsById(database);
    expect(fifth?.["locked_by"]).not.toBe("w");
  });

  it.each([5, 10])("leaves no other behind its floor when number %i of twenty is put off by a little", async (id) => {
    await add(20);
    const change = `select howdah.reschedule_jobs('{${id}}', run_at => now() - interval '1 s')`;
    const answer = await claimBeside({ ...JOBS, meanwhile: () => database.sql(change) });
    expect(idsOf(answer).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const levels = answer.levels.map(({ priority, floor }) => ({ priority, floor: floor ?? START }));
    expect(idsOf(await claim({ levels }))).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });

  it("takes the fifth in its new place when its priority is changed", async () => {
    await add(10);
    const change = "select howdah.reschedule_jobs('{5}', priority => 7)";
    const answer = await claimBeside({ ...JOBS, meanwhile: () => database.sql(change) });
    expect(idsOf(answer)).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10, 5]);
  });

  it("takes the nine others, and the fifth next time, while another session holds its row and then rolls back", async () => {
    await add(10);
    const session = await database.connect();
    const answer = await claimBeside({
      ...JOBS,
      meanwhile: async () => {
        await session.query("begin");
        await session.query("select howdah.add_job('t', job_key => '5')");
      },
      afterwards: () => session.query("rollback"),
    });
    expect(idsOf(answer)).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10]);
    expect(idsOf(await claim())).toEqual([5]);
  });
});

describe("a claim beside another one, of the first five of ten jobs", () => {
  const levels = [{ priority: 0, floor: { at: "0", id: "0" } }];

  it.each([
    ["from a floor on, when the other begins and ends before it comes to them", { levels, nth: 1, begunBefore: false }],
    ["from the head on, when the other is under way as it begins", { levels: [], nth: 2, begunBefore: true }],
  ])(
    "takes the others, and keeps no worker from releasing the five, %s",
    async (_, { begunBefore, nth, ...wanted }) => {
      await add(10);
      const [session, elsewhere] = [await database.connect(), await database.connect()];
      const claims = await createClaims(database, "w", session);
      const others = await createClaims(database, "other", elsewhere);
      const claimElsewhere = async () => {
        await elsewhere.query("begin");
        return others.claim({ quantity: 5 });
      };
      await session.query("begin");
      const stop = await stopAtRow(database, session, "_private_jobs", nth);
      try {
        const before = begunBefore ? await claimElsewhere() : undefined;
        // A snapshot lists those that are under way up to the last one that is over.
        await database.sql("select pg_current_xact_id()");
        const claiming = claims.claim({ windowAfter: null, ...wanted });
        await blockedBy(database, stop.session);
        const { claimedAt } = before ?? (await claimElsewhere());
        await elsewhere.query("commit");
        await stop.pass();
        expect(idsOf(await claiming)).toEqual([6, 7, 8, 9, 10]);
        const ended = { claimTimes: [claimedAt], completed: ["1", "2", "3", "4", "5"], patient: false };
        expect((await others.release(ended)).unreleased).toEqual(new Map());
      } finally {
        await session.query("rollback");
        await stop.remove();
      }
    },
  );

  it("leaves one that was given back meanwhile to the next scan of the head", async () => {
    await add(10);
    const change = `${take} where id <= 5; ${give} where id <= 5`;
    const race = { table: "_private_jobs", nth: 1, meanwhile: () => database.sql(change) } as const;
    expect(idsOf(await claimBeside(race, { levels }))).toEqual([6, 7, 8, 9, 10]);
    expect(idsOf(await claim({ levels: [] }))).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("a claim of a queue that was free when it looked", () => {
  const queue = async () => (await database.sql("select locked_by from howdah._private_job_queues order by id"))[0];

  it("takes the job although it was replaced in place meanwhile", async () => {
    await add(1, "q");
    const change =
      "select howdah.add_job('t', '[1]', queue_name => 'q', run_at => now() - interval '95 s', job_key => 'q1')";
    const answer = await claimBeside({ ...QUEUE, meanwhile: () => database.sql(change) });
    expect(idsOf(answer)).toEqual([1]);
    expect(await queue()).toEqual({ locked_by: "w" });
  });

  it.each([
    ["removed", "select howdah.remove_job('q1')"],
    ["put off", "select howdah.reschedule_jobs('{1}', run_at => now() + interval '1 day')"],
    ["moved to another queue", "select howdah.add_job('t', queue_name => 'r', job_key => 'q1')"],
    ["failed for good", "select howdah.permanently_fail_jobs('{1}')"],
  ])("leaves the queue free when its only job was %s meanwhile", async (_, change) => {
    await add(1, "q");
    const answer = await claimBeside({ ...QUEUE, meanwhile: () => database.sql(change) });
    expect(answer.jobs).toEqual([]);
    expect(await queue()).toEqual({ locked_by: null });
  });

  it("leaves the queue to the worker that locked it meanwhile, and says that there may be more", async () => {
    await add(2, "q");
    const answer = await claimBeside({ ...QUEUE, meanwhile: () => other.claim() });
    expect([answer.jobs, answer.more]).toEqual([[], true]);
    expect(await queue()).toEqual({ locked_by: "other" });
  });

  it("takes the second job when the first was claimed, done and released meanwhile", async () => {
    await add(2, "q");
    const answer = await claimBeside({
      ...QUEUE,
      meanwhile: async () => {
        const { claimedAt } = await other.claim();
        const end = { queueId: 1, lastJobId: "1", claimedAt };
        await other.release({ claimTimes: [claimedAt], completed: ["1"], chainEnds: [end] });
      },
    });
    expect(idsOf(answer)).toEqual([2]);
    expect(await queue()).toEqual({ locked_by: "w" });
  });

  it("does not wait: neither for a queue row nor for a job row that a user's transaction holds", async () => {
    await add(1, "q");
    await add(1, "r");
    await add(2, "s");
    const user = await database.connect();
    await user.query("begin");
    await user.query("select from howdah._private_job_queues where queue_name = 'q' for update");
    await user.query("select howdah.add_job('t', queue_name => 'r', job_key => 'r1')");
    await user.query("select from howdah._private_jobs where key = 's1' for update");
    const session = await database.connect();
    await session.query("set lock_timeout = 1");
    const claims = await createClaims(database, "w", session);
    expect(idsOf(await claims.claim())).toEqual([4]);
    await user.query("rollback");
    const locked = await database.sql("select queue_name from howdah._private_job_queues where locked_at is not null");
    expect(locked).toEqual([{ queue_name: "s" }]);
  });
});

describe("the session's own settings", () => {
  it("do not matter: isolation, search_path, time zone, parallelism and statistics", async () => {
    await add(3);
    await add(2, "q");
    const session = await database.connect();
    await session.query(`
      set search_path = public; set timezone = 'Asia/Kathmandu'; set datestyle = 'German, DMY';
      set intervalstyle = 'sql_standard'; set jit_above_cost = 0; set plan_cache_mode = force_custom_plan;
      set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0; set extra_float_digits = 0;
      create function public.least(timestamptz, timestamptz) returns timestamptz language sql as 'select null::timestamptz'`);
    const claims = await createClaims(database, "w", session);
    const answer = await claims.claim();
    expect(idsOf(answer)).toEqual([1, 4, 2, 3]);
  });

  it("decide how durable a claim is: nothing of ours lets it commit later", async () => {
    await add(1);
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    for (const setting of ["on", "local", "off"]) {
      await session.query(`set synchronous_commit = ${setting}; begin`);
      await claims.claim();
      expect((await session.query("show synchronous_commit")).rows).toEqual([{ synchronous_commit: setting }]);
      await session.query("rollback");
    }
  });

  it("give 40001 in repeatable read when rows change, instead of a wrong answer", async () => {
    await add(1);
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    await session.query("begin isolation level repeatable read");
    await session.query("select from howdah._private_jobs");
    await database.sql("update howdah._private_jobs set payload = '[1]'");
    await expect(claims.claim()).rejects.toMatchObject({ code: "40001" });
    await session.query("rollback");
  });
});
