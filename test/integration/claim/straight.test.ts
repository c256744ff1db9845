import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { later, START, type Position } from "../../../src/postgres/position.ts";
import type { ClaimAnswer } from "../../../src/postgres/queries/claim-answer.ts";
import type { ClaimRequest, LevelFloor } from "../../../src/postgres/queries/claim.ts";
import type { Statements } from "../../../src/postgres/queries/statements.ts";
import { Claimer } from "../../../src/job/claim/claimer.ts";
import type { Identity } from "../../../src/job/identity.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { blockedBy } from "../../harness/blocked.ts";
import { changeOf, createClaims, empty, idsOf, stopAtRow } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { workerContext } from "../../harness/worker-context.ts";

// A claim that goes straight to the jobs without a queue of the best priority answers what one that looks everywhere
// would, whatever else is there and whatever happens meanwhile.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await empty(database);
  await database.sql("delete from howdah._howdah_paused_tasks");
});
const { claim } = await createClaims(database);

/** Jobs of task t that became due one second after another, the last one 90 seconds ago. */
async function add(count: number): Promise<void> {
  await database.sql(
    "insert into howdah._private_jobs (task_id, run_at) select 1, now() - (90 + $1 - n) * interval '1 s' from generate_series(1, $1) as n",
    [count],
  );
}

/** Priority 0 is known, and nothing of it has been seen. */
const UNSEEN: readonly LevelFloor[] = [{ priority: 0, floor: START }];
/** Priority 0 was seen up to 1970. */
const SEEN: readonly LevelFloor[] = [{ priority: 0, floor: { at: "0", id: "0" } }];
const straight = { isStraight: true, windowAfter: null } as const;

const sorted = (ids: readonly number[]): number[] => ids.toSorted((a, b) => a - b);
const floorsOf = ({ levels }: ClaimAnswer): LevelFloor[] =>
  levels.map(({ priority, floor }) => ({ priority, floor: floor ?? START }));

describe("a straight claim", () => {
  it("takes all it was asked for, and says up to where it has seen the priority and that there may be more", async () => {
    await add(4);
    const first = await claim({ ...straight, levels: UNSEEN, quantity: 3 });
    expect([idsOf(first), first.isStraight, first.more, first.tasksGone]).toEqual([[1, 2, 3], true, true, false]);
    const [row] = await database.sql(
      "select howdah._howdah_us(run_at)::text as at, id, attempts, locked_by from howdah._private_jobs where id = 3",
    );
    expect(first.levels).toEqual([{ priority: 0, floor: { at: row?.["at"], id: "3" } }]);
    expect(row).toMatchObject({ attempts: 1, locked_by: "w" });
    const second = await claim({ ...straight, levels: floorsOf(first), quantity: 3 });
    expect([idsOf(second), second.isStraight, second.more]).toEqual([[4], false, false]);
  });

  it.each([
    [
      "a better priority appeared",
      "insert into howdah._private_jobs (task_id, priority, run_at) select 1, -5, now() - interval '1 s'",
      [5, 1, 2],
    ],
    [
      "a queued job became due",
      `insert into howdah._private_job_queues (queue_name) values ('q');
       insert into howdah._private_jobs (task_id, job_queue_id, run_at) select 1, 1, now() - interval '1 hour'`,
      [5, 1, 2],
    ],
    ["its task is paused", "insert into howdah._howdah_paused_tasks values ('t', 'infinity')", []],
    ["a job has a forbidden flag", `update howdah._private_jobs set flags = '{"x":true}' where id = 1`, [2, 3, 4]],
    ["a job is of another task", "update howdah._private_jobs set task_id = 999 where id = 2", [1, 3, 4]],
    [
      "a job is locked",
      "update howdah._private_jobs set locked_at = now(), locked_by = 'other' where id = 2",
      [1, 3, 4],
    ],
    ["a job has no attempt left", "update howdah._private_jobs set attempts = max_attempts where id = 2", [1, 3, 4]],
    ["a job is scheduled", "update howdah._private_jobs set run_at = now() + interval '1 s' where id = 3", [1, 2, 4]],
    ["a job is one to skip", "update howdah._private_jobs set payload = '[]' where id = 4", [1, 2, 3]],
  ])("takes what a claim takes that looks everywhere, when %s", async (_, change, expected) => {
    await add(4);
    await database.sql(change);
    const wanted = { ...straight, levels: UNSEEN, quantity: 3, forbiddenFlags: ["x"], skipIds: ["4000"] };
    expect(idsOf(await claim(wanted))).toEqual(expected);
  });

  it.each([
    ["is to look through all queues", { windowAfter: 0 }],
    ["is to look at a queue", { queueIds: [1] }],
  ])("takes an older job of a queue, too, when it %s", async (_, asked) => {
    await add(4);
    await database.sql(`
      insert into howdah._private_job_queues (queue_name) values ('q');
      insert into howdah._private_jobs (task_id, job_queue_id, run_at) select 1, 1, now() - interval '1 hour'`);
    const [row] = await database.sql(
      "select howdah._howdah_us(run_at)::text as at, id::text from howdah._private_jobs where id = 5",
    );
    const due = row as unknown as Position;
    expect(idsOf(await claim({ ...straight, levels: UNSEEN, quantity: 2, due, ...asked }))).toEqual([5, 1]);
  });

  it("leaves the jobs to skip alone", async () => {
    await add(4);
    expect(idsOf(await claim({ ...straight, levels: UNSEEN, quantity: 2, skipIds: ["1", "3"] }))).toEqual([2, 4]);
  });

  it("stays straight beside queued jobs that were seen to become due", async () => {
    await add(4);
    await database.sql(`
      insert into howdah._private_job_queues (queue_name) values ('q');
      insert into howdah._private_jobs (task_id, job_queue_id, run_at) select 1, 1, now() - interval '1 hour'`);
    const [row] = await database.sql(
      "select howdah._howdah_us(run_at)::text as at, id::text from howdah._private_jobs where id = 5",
    );
    const answer = await claim({ ...straight, levels: UNSEEN, quantity: 2, due: row as unknown as Position });
    expect([idsOf(answer), answer.isStraight]).toEqual([[1, 2], true]);
  });

  it("passes no job by when a trigger keeps one that it has locked as it is", async () => {
    await add(6);
    await database.sql(`
      create function public.keep() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger keep before update on howdah._private_jobs for each row when (old.id = 2) execute function public.keep()`);
    const first = await claim({ ...straight, levels: UNSEEN, quantity: 3 });
    await database.sql("drop trigger keep on howdah._private_jobs; drop function public.keep");
    const second = await claim({ ...straight, levels: floorsOf(first), quantity: 3 });
    expect([idsOf(first), first.more, idsOf(second)]).toEqual([[1, 3], true, [4, 5, 6]]);
  });

  it("answers as a claim does that looks everywhere, of tables and requests at random", async () => {
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    let answers = 0;
    let straightOnes = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.tuple(table, request), fc.tuple(plainTable, plainRequest)),
        async ([rows, asked]) => {
          await fill(rows);
          // A window goes as far as its time allows, which is not the same twice.
          const wanted = { ...(await toRequest(asked)), windowAfter: null };
          const undone = async (isStraight: boolean): Promise<ClaimAnswer> => {
            await session.query("begin");
            const answer = await claims.claim({ ...wanted, isStraight });
            await session.query("rollback");
            return answer;
          };
          const expected = await undone(false);
          const answer = await undone(true);
          answers += 1;
          if (answer.isStraight) straightOnes += 1;
          expect(meaningOf(answer, wanted)).toEqual(meaningOf(expected, wanted));
        },
      ),
      { numRuns: 160 },
    );
    expect(straightOnes).toBeGreaterThan(answers / 20);
    expect(straightOnes).toBeLessThan(answers);
  });
});

const small = fc.nat(5);
const job = fc.record({
  priority: fc.constantFrom(0, 0, 0, 1, -3),
  /** How many seconds ago it became due. */
  ago: fc.constantFrom(-60, 1, 2, 3, 3, 3, 10, 20, 30),
  queueId: fc.constantFrom(null, null, null, null, 1, 2),
  taskId: fc.constantFrom(1, 1, 1, 1, 999),
  state: fc.constantFrom("waits", "waits", "waits", "waits", "flagged", "locked", "spent"),
});
const table = fc.record({
  jobs: fc.array(job, { maxLength: 14 }),
  paused: fc.constantFrom("nothing", "nothing", "nothing", "t", "another task", "until a minute ago"),
});
/** Jobs without a queue, nearly all of one priority. */
const plainTable = fc.record({
  jobs: fc.array(
    job.map((one) => ({ ...one, queueId: null, priority: one.priority > 0 ? 1 : 0 })),
    { minLength: 4, maxLength: 14 },
  ),
  paused: fc.constant("nothing"),
});
const request = fc.record({
  quantity: fc.integer({ min: 1, max: 6 }),
  /** For each priority that is known the job up to which it was seen, 0 for none. */
  levels: fc.oneof(
    fc.constant<Record<string, number>>({ 0: 0 }),
    fc.dictionary(fc.constantFrom("-3", "0", "1"), small),
  ),
  due: small,
  isFlagForbidden: fc.boolean(),
  skipIds: fc.constantFrom([], [], ["2"], ["1", "3"]),
  queueIds: fc.constantFrom([], [], [], [1], [1, 2]),
  chainLength: fc.constantFrom(1, 3),
});

const plainRequest = request.map((asked) => ({
  ...asked,
  quantity: Math.min(asked.quantity, 3),
  levels: { 0: Math.max(...Object.values(asked.levels), 0) % 3 },
  queueIds: [],
}));

interface Table {
  readonly jobs: readonly object[];
  readonly paused: string;
}

interface Asked extends Pick<ClaimRequest, "quantity" | "skipIds" | "queueIds" | "chainLength"> {
  readonly levels: Readonly<Record<string, number>>;
  readonly due: number;
  readonly isFlagForbidden: boolean;
}

async function fill({ jobs, paused }: Table): Promise<void> {
  await empty(database);
  await database.sql("delete from howdah._howdah_paused_tasks");
  await database.sql("insert into howdah._private_job_queues (queue_name) values ('q'), ('r')");
  const rows = JSON.stringify(jobs);
  await database.sql(
    `insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at, attempts, flags, locked_at, locked_by)
     select "taskId", "queueId", priority, now() - ago * interval '1 s', case when state = 'spent' then 25 else 0 end,
       case when state = 'flagged' then '{"x": true}'::jsonb end, case when state = 'locked' then now() end,
       case when state = 'locked' then 'other' end
     from json_to_recordset($1) as job("taskId" int, "queueId" int, priority smallint, ago int, state text)`,
    [rows],
  );
  if (paused === "nothing") return;
  await database.sql("insert into howdah._howdah_paused_tasks values ($1, $2)", [
    paused === "another task" ? "u" : "t",
    paused === "until a minute ago" ? new Date(systemClock.now() - 60_000) : "infinity",
  ]);
}

async function toRequest(asked: Asked): Promise<Partial<ClaimRequest> & Pick<ClaimRequest, "due">> {
  // What is seen is due: a later position would count as far as it is settled, which is elsewhere a moment later.
  const rows = await database.sql(
    "select id::text, howdah._howdah_us(run_at)::text as at from howdah._private_jobs where run_at < now()",
  );
  const position = (id: number): Position =>
    (rows.find((row) => row["id"] === String(id)) as Position | undefined) ?? START;
  const { levels, due, isFlagForbidden, ...rest } = asked;
  return {
    ...rest,
    due: position(due),
    forbiddenFlags: isFlagForbidden ? ["x"] : null,
    levels: Object.entries(levels)
      .map(([priority, id]) => ({ priority: Number(priority), floor: position(id) }))
      .sort((a, b) => a.priority - b.priority),
  };
}

/** What a worker learns from an answer. */
function meaningOf(answer: ClaimAnswer, wanted: Pick<ClaimRequest, "due">): unknown {
  const { jobs, levels, more, tasksGone, leftover, windowStart, windowAfter, windowWrapped, windowFound } = answer;
  const rows = jobs.map(({ id, attempts, payload, runAt, queueId, queueName }) => [
    id,
    attempts,
    payload,
    runAt,
    queueId,
    queueName,
  ]);
  const due = later(answer.due, wanted.due);
  const window = [windowStart, windowAfter, windowWrapped, windowFound];
  return {
    order: idsOf(answer),
    jobs: new Map(rows.map((row) => [row[0], row])),
    levels,
    more,
    tasksGone,
    leftover: sorted(leftover),
    due,
    window,
  };
}

describe("a straight claim of five jobs", () => {
  async function claimBeside(nth: number, wanted: Partial<ClaimRequest>, meanwhile: () => Promise<unknown>) {
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    const stop = await stopAtRow(database, session, "_private_jobs", nth);
    try {
      const claiming = claims.claim({ ...straight, quantity: 5, ...wanted });
      await blockedBy(database, stop.session);
      await meanwhile();
      await stop.pass();
      return await claiming;
    } finally {
      await stop.remove();
    }
  }

  it.each([3, 5])("leaves no other behind its floor when number %i of ten is put off by a little", async (id) => {
    await add(10);
    const change = `select howdah.reschedule_jobs('{${id}}', run_at => now() - interval '1 s')`;
    const first = await claimBeside(1, { levels: UNSEEN }, () => database.sql(change));
    expect([sorted(idsOf(first)), first.isStraight]).toEqual([[1, 2, 3, 4, 5], true]);
    const second = await claim({ ...straight, levels: floorsOf(first), quantity: 5 });
    expect(idsOf(second)).toEqual([6, 7, 8, 9, 10]);
  });

  it("leaves one that is put off beside a claim from a floor to its announcement, and no other", async () => {
    await add(10);
    const change = "select howdah.reschedule_jobs('{3}', run_at => now() - interval '1 s')";
    const first = await claimBeside(1, { levels: SEEN }, () => database.sql(change));
    expect([idsOf(first), first.isStraight]).toEqual([[1, 2, 4, 5, 6], true]);
    expect(idsOf(await claim({ ...straight, levels: floorsOf(first) }))).toEqual([7, 8, 9, 10, 3]);
  });

  it.each([
    ["claimed elsewhere", "update howdah._private_jobs set locked_at = now(), locked_by = 'other' where id = 3"],
    ["removed", "delete from howdah._private_jobs where id = 3"],
    ["put off", "select howdah.reschedule_jobs('{3}', run_at => now() + interval '1 day')"],
    ["given a worse priority", "select howdah.reschedule_jobs('{3}', priority => 7)"],
  ])("takes others, and passes none by, when number 3 of ten is %s before it is locked", async (_, change) => {
    await add(10);
    const first = await claimBeside(1, { levels: UNSEEN }, () => database.sql(change));
    const second = await claim({ ...straight, levels: floorsOf(first) });
    expect(sorted([...idsOf(first), ...idsOf(second)].filter((id) => id !== 3))).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("finds, in this claim or the next one, what is committed when it has locked two and begins to look elsewhere", async () => {
    await add(2);
    const change =
      "insert into howdah._private_jobs (task_id, run_at) select 1, now() - ago * interval '1 s' from unnest(array[50, 40]) as ago";
    // It looks at both jobs to lock them, at the place of the second, and at each as it updates them.
    const first = await claimBeside(4, { levels: UNSEEN }, () => database.sql(change));
    const second = await claim({ ...straight, levels: floorsOf(first) });
    expect([...idsOf(first), ...idsOf(second)]).toEqual([1, 2, 3, 4]);
  });

  it("takes the others, and keeps no worker from releasing those that it claims meanwhile", async () => {
    await add(10);
    const elsewhere = await database.connect();
    const others = await createClaims(database, "other", elsewhere);
    await elsewhere.query("begin");
    let claimedAt = "";
    const first = await claimBeside(1, { levels: SEEN }, async () => {
      ({ claimedAt } = await others.claim({ quantity: 5 }));
      await elsewhere.query("commit");
    });
    expect(idsOf(first)).toEqual([6, 7, 8, 9, 10]);
    const ended = { claimTimes: [claimedAt], completed: ["1", "2", "3", "4", "5"], patient: false };
    expect((await others.release(ended)).unreleased).toEqual(new Map());
  });
});

describe("workers that claim from one backlog, straight whenever that is likely", () => {
  it("claim each job once and pass none by, while jobs go back and new ones come in several priorities", async () => {
    const JOBS = 4_000;
    const addJobs = (count: number, urgent: number) =>
      database.sql(
        `insert into howdah._private_jobs (task_id, priority, run_at)
         select 1, case when n <= $2 then -1 else 0 end, now() - interval '1 hour' + n * interval '1 ms'
         from generate_series(1, $1) as n`,
        [count, urgent],
      );
    await addJobs(2_500, 0);
    const ends = new Map<string, number>();
    const holders = new Map<string, string>();
    const problems: string[] = [];
    let straightOnes = 0;
    const claimers: Claimer[] = [];

    async function work(worker: string): Promise<void> {
      const session = await database.connect();
      const claims = await createClaims(database, worker, session);
      const statements = {
        async claim(wanted: ClaimRequest) {
          const answer = await claims.claim(wanted);
          if (answer.isStraight) straightOnes += 1;
          return answer;
        },
      } as Statements;
      // Time stands still, so that no full scan finds what was passed by.
      const clock = Object.assign(createManualClock(), { sleep: () => Promise.resolve() });
      const context = workerContext({ clock, identity: { current: worker } as Identity, statements });
      const claimer = new Claimer(context, {
        unstarted: { keep: (chains) => chains, giveBack: () => expect.unreachable() },
      });
      claimers.push(claimer);
      const deadline = systemClock.monotonic() + 30_000;
      while (ends.size < JOBS && systemClock.monotonic() < deadline) {
        const { chains } = await claimer.claim({ quantity: 24, chainLength: 1, mostQueues: 24 });
        const jobs = chains.flatMap((chain) => [...chain.rest]);
        for (const { id } of jobs) {
          if (holders.has(id) || ends.has(id)) problems.push(`${id} was claimed by ${worker} and ${holders.get(id)}`);
          holders.set(id, worker);
        }
        const goBack = jobs.filter(() => Math.random() < 0.05);
        const completed = jobs.filter((one) => !goBack.includes(one));
        for (const { id } of jobs) holders.delete(id);
        for (const { id } of completed) ends.set(id, (ends.get(id) ?? 0) + 1);
        const answer = await claims.release({
          claimTimes: [...new Set(jobs.map(({ claimedAt }) => claimedAt))],
          completed: completed.map(({ id }) => id),
          changed: goBack.map(({ id }) => changeOf(id, { refund: true })),
        });
        for (const [id, status] of answer.unreleased) problems.push(`${id} is ${status}`);
        // As the notification of the release would tell all of them.
        for (const one of claimers) for (const { position } of goBack) one.announce({ count: 1, at: position.at });
      }
    }

    const working = Promise.all(["w1", "w2", "w3", "w4"].map(work));
    await until(() => ends.size > 1_000 || problems.length > 0);
    for (let part = 0; part < 3; part += 1) await addJobs(500, 10);
    for (const claimer of claimers) claimer.announce({ count: JOBS, at: "0" });
    await working;
    expect(problems).toEqual([]);
    expect([ends.size, [...ends.values()].every((count) => count === 1)]).toEqual([JOBS, true]);
    expect(await database.sql("select id from howdah._private_jobs")).toEqual([]);
    expect(straightOnes).toBeGreaterThan(10);
  });
});
