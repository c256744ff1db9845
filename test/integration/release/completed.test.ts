import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Driver } from "../../../src/postgres/driver.ts";
import { createRelease } from "../../../src/postgres/queries/ending/release.ts";
import type { ReleaseRequest } from "../../../src/postgres/queries/ending/release-request.ts";
import { createClaims, empty, idsOf, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// A release of completed jobs counts what it deletes. When it is not all, it is undone, and the release that tells the
// jobs apart is sent.
const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
let sent: (string | undefined)[] = [];
beforeEach(async () => {
  await empty(database);
  sent = [];
});

const watched: Driver = {
  ...database.driver,
  query(query) {
    sent.push(query.name);
    return database.driver.query(query);
  },
};
const send = createRelease(watched, database.schema);
const release = (ended: Partial<ReleaseRequest>) =>
  send({ workerId: "w", claimTimes: [], completed: [], changed: [], chainEnds: [], patient: true, ...ended });

const COUNTED = "howdah_release_completed_2";
const TOLD_APART = "howdah_release_2";

async function add(count: number, queue: string | null = null): Promise<void> {
  await database.sql(
    "select howdah.add_job('t', queue_name => $2, run_at => now() - (1000 - n) * interval '1 s') from generate_series(1, $1) as n",
    [count, queue],
  );
}

const left = async () => Object.keys(await jobsById(database)).map(Number);
const queues = () => database.sql("select id, locked_by from howdah._private_job_queues order by id");

describe("a release of completed jobs", () => {
  it("deletes them and unlocks their queues with one statement", async () => {
    await add(3);
    await add(1, "q");
    await add(1, "r");
    const { claimedAt, jobs } = await worker.claim();
    const chainEnds = jobs.flatMap(({ id, queueId }) =>
      queueId === null ? [] : [{ queueId, lastJobId: id, claimedAt }],
    );
    expect(chainEnds).toHaveLength(2);
    const answer = await release({ claimTimes: [claimedAt], completed: jobs.map(({ id }) => id), chainEnds });
    expect(answer.unreleased).toEqual(new Map());
    expect([sent, await left()]).toEqual([[COUNTED], []]);
    expect(await queues()).toEqual([1, 2].map((id) => ({ id, locked_by: null })));
  });

  it("unlocks a queue whose lock was renewed, with one statement, by whichever of its times is in the row", async () => {
    await add(2, "q");
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set locked_at = 'epoch' where locked_by = 'w'");
    await database.sql("update howdah._private_job_queues set locked_at = 'epoch' where locked_by = 'w'");
    const chainEnds = [claimedAt, "0"].map((at) => ({ queueId: 1, lastJobId: "1", claimedAt: at }));
    const answer = await release({ claimTimes: [claimedAt, "0"], completed: ["1"], chainEnds });
    expect([answer.unreleased, sent, await left()]).toEqual([new Map(), [COUNTED], [2]]);
    expect(await queues()).toEqual([{ id: 1, locked_by: null }]);
  });

  it.each([
    ["another worker has it", "update howdah._private_jobs set locked_by = 'other' where id = 2", "lost", [2]],
    ["it was claimed again", "update howdah._private_jobs set locked_at = 'epoch' where id = 2", "lost", [2]],
    ["it is gone", "delete from howdah._private_jobs where id = 2", "gone", []],
  ])("tells which one was lost and deletes the others, when %s", async (_, change, status, stays) => {
    await add(3);
    const { claimedAt } = await worker.claim();
    await database.sql(change);
    const answer = await release({ claimTimes: [claimedAt], completed: ["1", "2", "3"] });
    expect(answer.unreleased).toEqual(new Map([["2", status]]));
    expect([sent, await left()]).toEqual([[COUNTED, TOLD_APART], stays]);
  });

  it("tells which one a trigger keeps without a word, and deletes the others", async () => {
    await add(3);
    const { claimedAt } = await worker.claim();
    await database.sql(`
      create function public.keep() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger keep before delete on howdah._private_jobs for each row when (old.id = 2) execute function public.keep()`);
    const answer = await release({ claimTimes: [claimedAt], completed: ["1", "2", "3"] });
    await database.sql("drop trigger keep on howdah._private_jobs; drop function public.keep");
    expect(answer.unreleased).toEqual(new Map([["2", "kept"]]));
    expect([sent, await left()]).toEqual([[COUNTED, TOLD_APART], [2]]);
  });

  it("tells that a chain cannot end while its last job is still held", async () => {
    await add(1);
    await add(1, "q");
    const { claimedAt } = await worker.claim();
    const chainEnds = [{ queueId: 1, lastJobId: "2", claimedAt }];
    const answer = await release({ claimTimes: [claimedAt], completed: ["1"], chainEnds });
    expect(answer.unreleased).toEqual(new Map([["2", "busy"]]));
    expect([sent, await left()]).toEqual([[COUNTED, TOLD_APART], [2]]);
    expect(await queues()).toEqual([{ id: 1, locked_by: "w" }]);
  });

  it("fails and changes nothing while another transaction holds one of them", async () => {
    await add(2);
    const { claimedAt } = await worker.claim();
    const session = await database.connect();
    await session.query("begin; select from howdah._private_jobs where id = 2 for update");
    const before = await jobsById(database);
    const ended = { claimTimes: [claimedAt], completed: ["1", "2"] };
    await expect(release(ended)).rejects.toMatchObject({ code: "55P03" });
    expect([sent, await jobsById(database)]).toEqual([[COUNTED], before]);
    await session.query("rollback");
    await release(ended);
    expect(await left()).toEqual([]);
  });

  it.each([
    ["changes others as well", { completed: ["1"], changed: [{ id: "2", refund: true }] }],
    ["steps over locked rows", { completed: ["1", "2"], patient: false }],
    ["has failed before, so that some may be gone", { completed: ["1", "2"], isApart: true }],
    ["only ends chains", {}],
  ])("is sent in its other form when it %s", async (_, ended) => {
    await add(2);
    const { claimedAt, ...answer } = await worker.claim();
    expect(idsOf({ claimedAt, ...answer })).toEqual([1, 2]);
    const unchanged = { refund: false, final: false, delayMs: null, message: null, payload: null };
    const changed = ("changed" in ended ? ended.changed : []).map((change) => ({ ...unchanged, ...change }));
    expect((await release({ claimTimes: [claimedAt], ...ended, changed })).unreleased).toEqual(new Map());
    expect(sent).toEqual([TOLD_APART]);
  });
});
