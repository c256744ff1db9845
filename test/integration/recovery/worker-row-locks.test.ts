import type pg from "pg";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { executorOf } from "../../../src/postgres/drivers/pg-executor.ts";
import { beat, beatAndLook, deregisterWorkers } from "../../../src/postgres/queries/liveness.ts";
import { deleteStaleWorkers } from "../../../src/postgres/queries/recover.ts";
import { declareDead, noteAbsences } from "../../../src/postgres/queries/sweep.ts";
import { createSchema } from "../../../src/postgres/schema.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
const schema = createSchema("howdah");
const clients: pg.Client[] = [];

const connect = async (): Promise<pg.Client> => {
  const client = await database.connect();
  clients.push(client);
  return client;
};

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
  // In the order of the table, the last one comes first.
  for (const id of ["c", "b", "a"])
    await database.sql("insert into howdah._private_workers (id, last_heartbeat_at) values ($1, 'epoch')", [id]);
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
});
afterAll(() => database.drop());

const ids = ["c", "b", "a"];
const reports = ids.map(() => "{}");
const seen = ids.map((workerId) => ({ workerId, beat: "0" }));
const timeoutMs = 10_000;

/** A session that meets rows as they lie in the table, where nothing says otherwise. */
async function connectReader() {
  const client = await connect();
  await client.query("set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off");
  await client.query("set enable_hashjoin = off; set enable_mergejoin = off");
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return { target: { executor: executorOf(client), schema, timeoutMs }, pid: rows[0]?.pid };
}

const isWaiting = async (pid: number | undefined): Promise<boolean> =>
  (await database.sql("select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'", [pid])).length > 0;

/** Which rows of workers are locked, seen by a session that does not wait. */
async function lockedRows(): Promise<string[]> {
  const free = await database.sql("select id from howdah._private_workers for update skip locked");
  return ["a", "b", "c"].filter((id) => !free.some((row) => row["id"] === id));
}

type Target = Awaited<ReturnType<typeof connectReader>>["target"];

describe("several rows of workers", () => {
  it.each<[string, (target: Target) => Promise<unknown>, string]>([
    ["a heartbeat", (target) => beat(target, { ids, reports }, undefined), "last_heartbeat_at > 'epoch'"],
    [
      "a heartbeat that looks",
      (target) => beatAndLook(target, { ids, reports }, undefined),
      "last_heartbeat_at > 'epoch'",
    ],
    ["one that declares them dead", (target) => declareDead(target, seen), "_howdah_swept = 1"],
    ["one that takes itself off the register", (target) => deregisterWorkers(target, ids), "false"],
    ["one that takes the dead off it", (target) => deleteStaleWorkers(target, ids), "false"],
    [
      "an operator who unlocks them",
      ({ executor }) => executor.query({ text: "select howdah.force_unlock_workers('{c,b,a}')" }),
      "_howdah_unlocked_at is not null",
    ],
  ])("are locked by id by %s, so that two who lock the same do not wait for each other", async (_, lock, isDone) => {
    const first = await connect();
    await first.query("begin; select from howdah._private_workers where id = 'a' for update");
    const { target, pid } = await connectReader();
    const locking = lock(target);
    await until(() => isWaiting(pid));
    expect(await lockedRows()).toEqual(["a"]);
    // What would be a deadlock if the other one had them in the order of the table.
    await first.query("update howdah._private_workers set metadata = '{}'; commit");
    await locking;
    expect(await database.sql(`select from howdah._private_workers where not (${isDone})`)).toEqual([]);
  });

  it("are not waited for by one that notes absences", async () => {
    const first = await connect();
    await first.query("begin; select from howdah._private_workers where id = 'b' for update");
    const { target } = await connectReader();
    expect(new Set((await noteAbsences(target, seen, { longestGapMs: 1_000, timeoutMs })).keys())).toEqual(
      new Set(["a", "c"]),
    );
    await first.query("rollback");
    expect(new Set((await noteAbsences(target, seen, { longestGapMs: 1_000, timeoutMs })).keys())).toEqual(
      new Set(ids),
    );
  });
});

it("an operator who waits for a queue of a worker keeps no heartbeat waiting", async () => {
  await database.sql("select howdah.add_job('t', queue_name => 'q')");
  await database.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'a'");
  const first = await connect();
  await first.query("begin; select from howdah._private_job_queues for update");
  const { target, pid } = await connectReader();
  const unlocking = target.executor.query({ text: "select howdah.force_unlock_workers('{a}')" });
  await until(() => isWaiting(pid));
  expect(await lockedRows()).toEqual([]);
  await first.query("commit");
  await unlocking;
  expect(await database.sql("select locked_by from howdah._private_job_queues")).toEqual([{ locked_by: null }]);
});
