import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { registerTasks } from "../../../src/postgres/queries/register-tasks.ts";
import { createFindUnclaimable } from "../../../src/postgres/queries/find-unclaimable.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createClaims, empty, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
const client = await createClient({ driver: database.driver });
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("drop function if exists public.refuse() cascade");
  await empty(database);
});

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

/** What happens before a row is locked whose payload says "poison". */
async function poison(body: string): Promise<void> {
  await database.sql(`
    create function public.refuse() returns trigger language plpgsql as $$ begin
      if old.payload::text like '%poison%' and old.locked_at is null and new.locked_at is not null then ${body}; end if;
      return new;
    end $$;
    create trigger refuse before update on howdah._private_jobs for each row execute function public.refuse()`);
}

const raise = (state: string) => `raise exception 'no' using errcode = '${state}'`;

async function startWorker(options: { readonly localQueue?: boolean } = {}) {
  const logger = createRecordingLogger();
  const ran: unknown[] = [];
  const worker = await createTestWorker(database, {
    logger,
    concurrency: 3,
    pollInterval: "200ms",
    ...options,
    tasks: [defineTask({ identifier: "t", run: (payload: unknown) => void ran.push(payload) })],
  });
  workers.push(worker);
  return { worker, ran, logger, completed: record(worker.hooks, "jobComplete") };
}

describe.each([false, true])("a job that a trigger keeps from being locked, local queue: %s", (localQueue) => {
  it.each([
    ["P0001", raise("P0001")],
    ["23514", raise("23514")],
    ["42P01", "perform * from nowhere"],
    ["42501", raise("42501")],
    ["53400", raise("53400")],
    ["40001", raise("40001")],
    ["TT001", raise("TT001")],
  ])("keeps no other job waiting, is named once, and runs when the trigger is gone: %s", async (state, body) => {
    const { worker, ran, logger, completed } = await startWorker({ localQueue });
    const { id } = await worker.client.addJob("t", "poison");
    await worker.client.addJobs(Array.from({ length: 20 }, (_, payload) => ({ identifier: "t", payload })));
    await poison(body);
    const running = worker.run();
    await completed.reach(20);
    await worker.client.addJob("t", "later");
    await completed.reach(21);
    const named = logger.entries.filter(({ message }) => message.startsWith("A job cannot be claimed"));
    expect(named.map(({ fields }) => [fields["job"], String(fields["error"]).slice(0, 5)])).toEqual([[id, state]]);
    await database.sql("drop function public.refuse() cascade");
    await until(() => ran.includes("poison"), { deadlineMs: 20_000 });
    await worker.stop();
    await running;
  });

  it("lets those behind it in its queue go first, and keeps no other queue waiting", async () => {
    const { worker, ran, completed } = await startWorker({ localQueue });
    await worker.client.addJob("t", "poison", { queueName: "a" });
    await worker.client.addJob("t", "behind it", { queueName: "a" });
    for (let job = 0; job < 5; job++) await worker.client.addJob("t", job, { queueName: "b" });
    await poison(raise("TT001"));
    const running = worker.run();
    await completed.reach(6);
    expect(ran).toContain("behind it");
    await database.sql("drop function public.refuse() cascade");
    await completed.reach(7);
    await worker.stop();
    await running;
  });
});

describe("a claim that leaves a job alone", () => {
  it("takes the next queue in place of one that has no other job, and does not say that there is more", async () => {
    const { claim } = await createClaims(database);
    const skipped = await client.addJob("t", "skipped", { queueName: "a" });
    const { id } = await client.addJob("t", "free", { queueName: "b" });
    const answer = await claim({ quantity: 1, skipIds: [skipped.id] });
    expect(idsOf(answer)).toEqual([Number(id)]);
    expect(await claim({ quantity: 2, skipIds: [skipped.id] })).toMatchObject({ jobs: [], more: false });
  });

  it("takes the others of its queue, on both sides of it", async () => {
    const { claim } = await createClaims(database);
    const [before, skipped, behind] = await client.addJobs(
      ["before", "skipped", "behind"].map((payload) => ({ identifier: "t", payload, spec: { queueName: "a" } })),
    );
    const answer = await claim({ quantity: 3, chainLength: 3, skipIds: [String(skipped?.id)] });
    expect(idsOf(answer)).toEqual([Number(before?.id), Number(behind?.id)]);
  });
});

describe("a search for jobs that cannot be locked", () => {
  const find = createFindUnclaimable(database.driver, database.schema);

  async function search() {
    const [taskId = 0] = (await registerTasks(database.driver, database.schema, ["t"])).keys();
    return find({ workerId: "w", taskIds: [taskId], forbiddenFlags: null, quantity: 101 });
  }

  it("blames no job when none of several can be locked, and all that cannot once another one can", async () => {
    await client.addJobs([
      { identifier: "t", payload: "poison" },
      { identifier: "t", payload: "poison" },
    ]);
    await client.addJob("t", "poison", { queueName: "a" });
    await poison(raise("42501"));
    expect(await search()).toEqual([]);
    await client.addJob("t", "another", { queueName: "b" });
    expect((await search()).map(({ state }) => state)).toEqual(["42501", "42501", "42501"]);
  });

  it("blames a job that is alone, but not where nothing can be written", async () => {
    const { id } = await client.addJob("t", "poison");
    await poison(raise("TT001"));
    expect(await search()).toEqual([{ id, state: "TT001", message: "no" }]);
    const session = await database.connect();
    await session.query("set default_transaction_read_only = on");
    const { schema } = database;
    const { rows } = await session.query(
      `select * from ${schema.of("_howdah_unclaimable_v1")}('w', array(select id from ${schema.of("_private_tasks")}), null, null, 9)`,
    );
    expect(rows).toEqual([]);
  });
});
