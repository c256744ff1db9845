import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createRelease } from "../../../src/postgres/queries/ending/release.ts";
import type { JobChange } from "../../../src/postgres/queries/ending/release-request.ts";
import { changeOf, createClaims, empty, idsOf, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
const other = await createClaims(database, "other");
beforeEach(() => empty(database));

async function add(count: number, queue: string | null = null, rest = "priority => 0"): Promise<void> {
  await database.sql(
    `select howdah.add_job('t', queue_name => $2, run_at => now() - (1000 - n) * interval '1 s', ${rest})
     from generate_series(1, $1) as n`,
    [count, queue],
  );
}

const queues = async () => {
  const rows = await database.sql("select id, locked_by from howdah._private_job_queues order by id");
  return Object.fromEntries(rows.map((row) => [row["id"], row["locked_by"]])) as Record<number, string | null>;
};
const statuses = ({ unreleased }: { unreleased: ReadonlyMap<string, string> }) => Object.fromEntries(unreleased);

const endings: [string, (id: number) => { completed?: string[]; changed?: JobChange[] }][] = [
  ["completion", (id) => ({ completed: [String(id)] })],
  ["failure", (id) => ({ changed: [changeOf(id, { message: "no", delayMs: 0 })] })],
  ["final failure", (id) => ({ changed: [changeOf(id, { message: "no", final: true })] })],
  ["give-back", (id) => ({ changed: [changeOf(id, { refund: true })] })],
];

it("a job whose handler completed it in a transaction that a failover has lost: it ends with the others", async () => {
  await add(2);
  const { claimedAt } = await worker.claim();
  await database.sql("delete from howdah._private_jobs where id = 1");
  // A server that lags behind has not given this id to any transaction yet.
  const [row] = await database.sql("select (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000)::text as id");
  const within = String(row?.["id"]);
  const ended = { claimTimes: [claimedAt], changed: [changeOf(1, { within })], completed: ["2"] };
  expect(statuses(await worker.release(ended))).toEqual({ 1: "taken" });
  expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
});

describe.each(endings)("a %s", (name, end) => {
  it("ends the claim once: sent again it changes nothing, whichever worker has the job and its queue then", async () => {
    await add(3, "q");
    const { claimedAt } = await worker.claim();
    const ending = { claimTimes: [claimedAt], ...end(1), chainEnds: [{ queueId: 1, lastJobId: "1", claimedAt }] };
    expect(statuses(await worker.release(ending))).toEqual({});
    expect(await queues()).toEqual({ 1: null });

    // The answer was lost; meanwhile the same worker has claimed the queue again.
    await worker.claim();
    const [held] = await database.sql("select id, attempts, locked_at from howdah._private_jobs where locked_by = 'w'");
    const again = await worker.release(ending);
    expect(statuses(again)).toEqual({ 1: name === "completion" ? "gone" : "lost" });
    // By which a worker knows, when it has sent it again itself, that it has been carried out.
    expect(Object.fromEntries(again.releasedAts)).toEqual(name === "completion" ? {} : { 1: claimedAt });
    expect(
      await database.sql("select id, attempts, locked_at from howdah._private_jobs where locked_by = 'w'"),
    ).toEqual([held]);
    expect(await queues()).toEqual({ 1: "w" });
    expect(idsOf(await other.claim())).toEqual([]);
  });

  it("does nothing to a job of another worker, and says that it is lost", async () => {
    await add(1);
    const { claimedAt } = await other.claim();
    const before = await jobsById(database);
    const answer = await worker.release({ claimTimes: [claimedAt], ...end(1) });
    expect([statuses(answer), answer.releasedAts.get("1")]).toEqual([{ 1: "lost" }, null]);
    expect(await jobsById(database)).toEqual(before);
  });

  it("tells that others may have removed a job that is gone, once its worker was unlocked, swept or taken off the register", async () => {
    const gone = async (isRegistered = false) => {
      const release = createRelease(database.driver, database.schema, isRegistered);
      const nothing = { completed: [], changed: [], chainEnds: [], patient: true };
      return statuses(await release({ workerId: "w", claimTimes: ["1"], ...nothing, ...end(7) }));
    };
    expect([await gone(), await gone(true)]).toEqual([{ 7: "gone" }, { 7: "taken" }]);
    await database.sql("insert into howdah._private_workers (id, last_heartbeat_at) values ('w', now())");
    expect([await gone(), await gone(true)]).toEqual([{ 7: "gone" }, { 7: "gone" }]);
    await database.sql("update howdah._private_workers set _howdah_swept = 1");
    expect(await gone(true)).toEqual({ 7: "taken" });
    await database.sql("update howdah._private_workers set _howdah_swept = 0");
    await database.sql("select howdah.force_unlock_workers(array['w'])");
    expect([await gone(), await gone(true)]).toEqual([{ 7: "taken" }, { 7: "taken" }]);
    await database.sql("delete from howdah._private_workers");
  });

  it("does nothing to a claim of the same worker at another time", async () => {
    await add(1);
    const { claimedAt } = await worker.claim();
    const before = await jobsById(database);
    const times = [String(BigInt(claimedAt) - 1n), String(BigInt(claimedAt) + 1n)];
    expect(statuses(await worker.release({ claimTimes: times, ...end(1) }))).toEqual({ 1: "lost" });
    expect(await jobsById(database)).toEqual(before);
  });

  it("says that a job is gone", async () => {
    expect(statuses(await worker.release({ claimTimes: ["1"], ...end(7) }))).toEqual({ 7: "gone" });
  });
});

describe("what a release writes", () => {
  it("are the message, the payload and the time, to the microsecond it answers", async () => {
    await add(1);
    const { claimedAt } = await worker.claim();
    const change = changeOf(1, { message: 'a "b" \\ {c},\nnull', payload: '{"left":[1]}', delayMs: 90_000 });
    const { runAts } = await worker.release({ claimTimes: [claimedAt], changed: [change] });
    const [row] = await database.sql(`
      select last_error, payload::text, attempts, locked_at, locked_by, howdah._howdah_us(run_at)::text as at,
        run_at > now() + interval '60 s' and run_at <= now() + interval '90 s' as delayed
      from howdah._private_jobs`);
    expect(row).toEqual({
      last_error: 'a "b" \\ {c},\nnull',
      payload: '{"left":[1]}',
      attempts: 1,
      locked_at: null,
      locked_by: null,
      at: runAts.get("1"),
      delayed: true,
    });
  });

  it("keeps what is null, and rounds a delay to milliseconds", async () => {
    await add(2);
    await database.sql("update howdah._private_jobs set last_error = 'before', payload = '[7]', run_at = 'epoch'");
    const { claimedAt } = await worker.claim();
    const changed = [changeOf(1), changeOf(2, { delayMs: 0.4 })];
    await worker.release({ claimTimes: [claimedAt], changed });
    const { 1: first } = await jobsById(database);
    expect(first).toMatchObject({ last_error: "before", payload: [7], run_at: new Date(0), attempts: 1 });
  });

  it("counts the delay from when the job was due, if that is later than now", async () => {
    await add(1);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set run_at = '2100-01-01T00:00:00Z'");
    await worker.release({ claimTimes: [claimedAt], changed: [changeOf(1, { delayMs: 1_000 })] });
    const { 1: job } = await jobsById(database);
    expect(job?.["run_at"]).toEqual(new Date("2100-01-01T00:00:01Z"));
  });

  it("refunds an attempt, but never below none", async () => {
    await add(2);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set attempts = 0 where id = 2");
    await worker.release({ claimTimes: [claimedAt], changed: [1, 2].map((id) => changeOf(id, { refund: true })) });
    expect(Object.values(await jobsById(database)).map((job) => job["attempts"])).toEqual([0, 0]);
  });

  it.each([
    ["removed", "select howdah.remove_job('k')"],
    ["replaced", "select howdah.add_job('t', job_key => 'k', run_at => now() + interval '1 day')"],
  ])("refunds nothing to a job that was %s while it ran, so that it does not run again", async (_, change) => {
    await add(1, null, "job_key => 'k'");
    const { claimedAt } = await worker.claim();
    await database.sql(change);
    await worker.release({ claimTimes: [claimedAt], changed: [changeOf(1, { refund: true })] });
    expect(idsOf(await worker.claim())).toEqual([]);
  });

  it("mixes completions and changes of several claims in one statement", async () => {
    await add(6);
    const first = await worker.claim({ quantity: 3 });
    const second = await worker.claim({ quantity: 3 });
    const claimTimes = [first.claimedAt, second.claimedAt];
    const changed = [changeOf(2, { refund: true }), changeOf(5, { final: true, message: "no" })];
    expect(statuses(await worker.release({ claimTimes, completed: ["6", "1", "4"], changed }))).toEqual({});
    const left = Object.values(await jobsById(database)).map((job) => [job["id"], job["attempts"], job["locked_by"]]);
    expect(left).toEqual([
      ["2", 0, null],
      ["3", 1, "w"],
      ["5", 25, null],
    ]);
  });
});

describe("a chain", () => {
  async function claimChain() {
    await add(4, "q");
    const { claimedAt } = await worker.claim({ chainLength: 3 });
    return {
      claimedAt,
      claimTimes: [claimedAt],
      end: (last: number) => ({ queueId: 1, lastJobId: String(last), claimedAt }),
    };
  }

  it("keeps its queue locked until its last open member is released", async () => {
    const { claimTimes, end } = await claimChain();
    await worker.release({ claimTimes, completed: ["1"] });
    await worker.release({ claimTimes, changed: [changeOf(3, { refund: true })] });
    expect(await queues()).toEqual({ 1: "w" });
    const early = await worker.release({ claimTimes, chainEnds: [end(2)] });
    expect(statuses(early)).toEqual({ 2: "busy" });
    expect(await queues()).toEqual({ 1: "w" });
    await worker.release({ claimTimes, completed: ["2"], chainEnds: [end(2)] });
    expect(await queues()).toEqual({ 1: null });
  });

  it("ends although its last member was taken from the worker, because no other statement would unlock the queue", async () => {
    const { claimTimes, end } = await claimChain();
    await database.sql("update howdah._private_jobs set locked_by = 'thief' where id = 3");
    const answer = await worker.release({ claimTimes, completed: ["1", "2", "3"], chainEnds: [end(3)] });
    expect(statuses(answer)).toEqual({ 3: "lost" });
    expect(await queues()).toEqual({ 1: null });
  });

  it("does not unlock a queue that another worker has locked since", async () => {
    const { claimTimes, end } = await claimChain();
    await database.sql("select howdah.force_unlock_workers('{w}')");
    expect(idsOf(await other.claim())).toEqual([1]);
    const answer = await worker.release({ claimTimes, completed: ["1", "2", "3"], chainEnds: [end(3)] });
    expect(statuses(answer)).toEqual({ 1: "lost", 2: "lost", 3: "lost" });
    expect(await queues()).toEqual({ 1: "other" });
    const locked = await database.sql(
      "select id::int, locked_by from howdah._private_jobs where locked_at is not null",
    );
    expect(locked).toEqual([{ id: 1, locked_by: "other" }]);
  });

  it("may end again after a lost answer without a word about the queue", async () => {
    const { claimTimes, end } = await claimChain();
    const ending = { claimTimes, completed: ["1", "2", "3"], chainEnds: [end(3)] };
    await worker.release(ending);
    expect(statuses(await worker.release({ claimTimes, chainEnds: [end(3)] }))).toEqual({});
    expect(idsOf(await other.claim())).toEqual([4]);
  });
});
