import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { JobSpec } from "../../../src/job/job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { blockedBy } from "../../harness/blocked.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
  await client.addJob("t");
});

beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._howdah_recent"));

afterAll(() => database.drop());

const unique = (more: object = {}): JobSpec => ({ unique: { by: () => "k", ...more } });
const jobs = (): Promise<readonly { id: string; key: string | null }[]> =>
  database.sql("select id::text, key from howdah.jobs order by id") as never;

async function begin(isolation = "read committed") {
  const session = await database.connect();
  await session.query(`begin isolation level ${isolation}`);
  return { session, inside: client.inTransaction(session) };
}

describe("two adds with one key at once", () => {
  it.each([
    ["commit", "keep", ["added", "kept"]],
    ["commit", "replace", ["added", "replaced"]],
    ["rollback", "keep", ["added", "added"]],
  ] as const)("store one job: the second waits for the first, until its %s (%s)", async (end, otherwise, outcomes) => {
    const { session, inside } = await begin();
    const first = await inside.addJob("t", { n: 1 }, unique({ otherwise }));
    const second = client.addJob("t", { n: 2 }, unique({ otherwise }));
    await blockedBy(database, session);
    await session.query(end);
    expect([first.outcome, (await second).outcome]).toEqual(outcomes);
    expect(await jobs()).toHaveLength(1);
    await session.end();
  });

  it("reject the second, in many at once all but one", async () => {
    const adds = Array.from({ length: 30 }, (_, n) => client.addJob("t", { n }, unique({ otherwise: "reject" })));
    const settled = await Promise.allSettled(adds);
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const [job] = await jobs();
    for (const one of settled) {
      if (one.status === "rejected")
        expect(one.reason).toMatchObject({ code: "HOWDAH_JOB_NOT_UNIQUE", jobId: job?.id });
    }
  });

  it("store one job of many clients for the whole time, however fast it is done", async () => {
    const outcomes: unknown[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async (_, one) => {
        const adding = clientOver({ ...database, logger: silentLogger });
        for (let n = 0; n < 20; n++) {
          const added = await adding.addJob("t", { one, n }, unique({ for: "1h" }));
          outcomes.push(added.outcome);
          if (added.outcome === "added") await adding.completeJobs([added.id]);
        }
      }),
    );
    expect(outcomes).toHaveLength(160);
    expect(outcomes.filter((outcome) => outcome === "added")).toHaveLength(1);
  });

  it("leave nothing behind when the session of the first is killed", async () => {
    const { session, inside } = await begin();
    await inside.addJob("t", {}, unique({ for: "1h" }));
    const second = client.addJob("t", {}, unique({ for: "1h" }));
    await blockedBy(database, session);
    const { processID } = session as unknown as { readonly processID: number };
    await database.sql("select pg_terminate_backend($1)", [processID]);
    expect((await second).outcome).toBe("added");
    expect(await jobs()).toHaveLength(1);
  });

  it("do not meet a deadlock when each brings several keys in its own order", async () => {
    const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
    const bulk = (order: readonly string[]) =>
      client.addJobs(
        order.map((key) => ({ identifier: "t", spec: { unique: { by: () => key, for: "1h" as const } } })),
      );
    for (let round = 0; round < 5; round++) {
      await Promise.all([bulk(keys), bulk(keys.toReversed()), bulk(keys)]);
      await client.cancelJobs({ task: "t" });
    }
    expect(await database.sql("select from howdah._howdah_recent")).toHaveLength(0);
  });
});

describe("in repeatable read", () => {
  it.each(["1h", undefined] as const)("an add that cannot see the other is refused: one job (for %s)", async (kept) => {
    const { session, inside } = await begin("repeatable read");
    await session.query("select count(*) from howdah.jobs");
    const first = await client.addJob("t", {}, unique({ for: kept }));
    if (kept) await client.completeJobs([first.id]);
    await expect(inside.addJob("t", {}, unique({ for: kept }))).rejects.toMatchObject({ cause: { code: "40001" } });
    await session.query("rollback");
    await session.end();
    expect((await client.addJob("t", {}, unique({ for: kept }))).outcome).toBe("kept");
  });

  it("an add that sees the other keeps it", async () => {
    const first = await client.addJob("t", {}, unique({ for: "1h" }));
    const { session, inside } = await begin("repeatable read");
    expect(await inside.addJob("t", {}, unique({ for: "1h" }))).toMatchObject({ id: first.id, outcome: "kept" });
    await session.query("commit");
    await session.end();
  });
});

describe("beside a worker", () => {
  it("a job that is kept while it waits begins after the add has committed", async () => {
    const held = createHeldTask("held");
    held.openAll();
    const { id } = await client.addJob("held", "a", unique({ while: "waiting" }));
    const { session, inside } = await begin();
    expect(await inside.addJob("held", "b", unique({ while: "waiting" }))).toMatchObject({ id, outcome: "kept" });
    await using worker = await createTestWorker(database, { tasks: [held.task], pollInterval: 50 });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    const other = await client.addJob("held", "other");
    await completed.reach(1);
    expect(completed.events.map(({ job }) => job.id)).toEqual([other.id]);
    await session.query("commit");
    await completed.reach(2);
    expect(completed.events[1]?.job.id).toBe(id);
    await worker.stop();
    await running;
    await session.end();
  });

  it("an add against the claim and the end of a job finds it waiting, running or gone, and nothing is lost", async () => {
    // Each round changes a number and adds a job that reads it; the last change has to be read by some run.
    await database.sql("create table public.source (n integer); insert into public.source values (0)");
    const seen: number[] = [];
    const read = defineTask({
      identifier: "read",
      async run(_payload: unknown, { query }) {
        const { rows } = await query("select n from public.source");
        seen.push(Number(rows[0]?.[0]));
      },
    });
    await using worker = await createTestWorker(database, { tasks: [read], pollInterval: 50, concurrency: 4 });
    const running = worker.run();
    const outcomes = new Map<unknown, number>();
    for (let n = 1; n <= 150; n++) {
      const { session, inside } = await begin();
      await session.query("update public.source set n = $1", [n]);
      const { outcome } = await inside.addJob("read", {}, { unique: { by: () => "all", while: "waiting" } });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      await session.query("commit");
      await session.end();
    }
    await until(() => seen.includes(150), { message: "the last change to be read" });
    expect(outcomes.get("added")).toBeGreaterThan(0);
    await worker.stop();
    await running;
  });

  it("a job that runs is there until its end: then the next add is added", async () => {
    const held = createHeldTask("held");
    await using worker = await createTestWorker(database, { tasks: [held.task], pollInterval: 50 });
    const running = worker.run();
    const first = await client.addJob("held", "a", unique());
    await until(() => held.running.has("a"));
    expect(await client.addJob("held", "b", unique())).toMatchObject({
      id: first.id,
      outcome: "kept",
      state: "running",
    });
    held.open("a");
    await until(async () => (await jobs()).length === 0);
    expect((await client.addJob("held", "c", unique({ while: "unfinished" }))).outcome).toBe("added");
    held.openAll();
    await worker.stop();
    await running;
  });
});

describe("beside a removal", () => {
  it.each(["removeJob", "cancelJobs", "removeJobs"] as const)(
    "an add waits for %s, and is not swallowed for a job that never ran",
    async (name) => {
      const { id } = await client.addJob("t", {}, unique({ for: "1h" }));
      const { session, inside } = await begin();
      if (name === "removeJob") await inside.removeJob("t:k");
      else await inside[name]([id]);
      const adding = client.addJob("t", {}, unique({ for: "1h" }));
      await blockedBy(database, session);
      await session.query("commit");
      await session.end();
      expect(await adding).toMatchObject({ outcome: "added" });
    },
  );

  it.each(["removeJob", "cancelJobs", "removeJobs"] as const)(
    "%s waits for an add that keeps the job",
    async (name) => {
      const { id } = await client.addJob("t", {}, unique({ for: "1h" }));
      const { session, inside } = await begin();
      expect((await inside.addJob("t", {}, unique({ for: "1h" }))).outcome).toBe("kept");
      const removing = name === "removeJob" ? client.removeJob("t:k") : client[name]([id]);
      await blockedBy(database, session);
      await session.query("commit");
      await session.end();
      await removing;
      expect(await jobs()).toHaveLength(0);
      expect((await client.addJob("t", {}, unique({ for: "1h" }))).outcome).toBe("added");
    },
  );

  it("keys whose time is over are swept beside adds that renew them", async () => {
    await Promise.all(
      Array.from({ length: 10 }, async (_, one) => {
        for (let n = 0; n < 20; n++) {
          await client.addJob("t", {}, { unique: { by: () => `k${(one + n) % 5}`, for: 1, while: "waiting" } });
          await database.sql("select howdah._howdah_forget_recent_v1()");
          await client.cancelJobs({ task: "t" });
        }
      }),
    );
    await database.sql("select pg_sleep(0.01)");
    await database.sql("select howdah._howdah_forget_recent_v1()");
    expect(await database.sql("select from howdah._howdah_recent")).toHaveLength(0);
  });
});
