import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClaimedJob } from "../../../src/job/claimed-job.ts";
import { Releaser } from "../../../src/job/release/releaser.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { Release } from "../../../src/postgres/queries/ending/release.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createClaims, empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("drop function if exists public.refuse() cascade");
  await empty(database);
});

/** What happens before a row is deleted, or changed, whose payload says "poison". */
async function poison(event: "delete" | "update", body: string): Promise<void> {
  await database.sql(`
    create function public.refuse() returns trigger language plpgsql as $$ begin
      if old.payload::text like '%poison%' and old.locked_at is not null then ${body}; end if;
      return ${event === "delete" ? "old" : "new"};
    end $$;
    create trigger refuse before ${event} on howdah._private_jobs for each row execute function public.refuse()`);
}

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

const cure = () => database.sql("drop function public.refuse() cascade");
const rows = () => database.sql("select id::text, locked_by from howdah._private_jobs order by id");
const raise = (state: string) => `raise exception 'no' using errcode = '${state}'`;

async function startWorker(concurrency = 3) {
  const logger = createRecordingLogger();
  const worker = await createTestWorker(database, {
    logger,
    concurrency,
    pollInterval: "200ms",
    tasks: [
      defineTask({ identifier: "t", run: () => undefined }),
      defineTask({
        identifier: "failing",
        run() {
          throw new Error("failed");
        },
      }),
    ],
  });
  const errors = record(worker.hooks, "workerError");
  const refused = record(worker.hooks, "jobReleaseRefused");
  const completed = record(worker.hooks, "jobComplete");
  workers.push(worker);
  return { worker, logger, errors, refused, completed };
}

describe("a row that a trigger keeps from being deleted", () => {
  it.each([
    ["P0001", raise("P0001")],
    ["23503", raise("23503")],
    ["42P01", "perform * from nowhere"],
    ["42883", "perform nothing_of_that_name()"],
    ["42501", raise("42501")],
    ["25001", raise("25001")],
    ["55000", raise("55000")],
    ["53400", raise("53400")],
    ["40001", raise("40001")],
    ["57014", raise("57014")],
    ["XX000", raise("XX000")],
    ["TT001", raise("TT001")],
    ["a connection that ends", "perform pg_terminate_backend(pg_backend_pid())"],
    ["nothing said", "return null"],
  ])("holds up no other job, is told by its name, and goes when the trigger does: %s", async (_, body) => {
    await poison("delete", body);
    const { worker, logger, errors, refused, completed } = await startWorker();
    const running = worker.run();
    const { id } = await worker.client.addJob("t", "poison");
    for (let job = 0; job < 20; job++) await worker.client.addJob("t", job);
    await completed.reach(20);
    expect((await rows()).map((row) => row["id"])).toEqual([id]);
    await until(() => worker.metrics().stuck === 1);
    expect(worker.metrics()).toMatchObject({ running: 0, unwritten: 1, stuck: 1 });
    await worker.client.addJob("t", "later");
    await completed.reach(21);
    expect(errors.events.filter(({ job }) => job).map(({ job }) => job?.id)).toEqual([id]);
    const named = logger.entries.filter(({ message }) => message.includes("outcome of a job cannot be written"));
    expect(named.map(({ fields }) => fields["job"])).toEqual([id]);
    await cure();
    await completed.reach(22);
    expect([await rows(), refused.events]).toEqual([[], []]);
    await worker.stop();
    await running;
  });

  it("keeps its queue locked, and no other", async () => {
    await poison("delete", raise("TT001"));
    const { worker, completed } = await startWorker();
    const running = worker.run();
    const { id } = await worker.client.addJob("t", "poison", { queueName: "a" });
    const { id: next } = await worker.client.addJob("t", "after it", { queueName: "a" });
    for (let job = 0; job < 5; job++) await worker.client.addJob("t", job, { queueName: "b" });
    await completed.reach(5);
    await until(() => worker.metrics().stuck === 1);
    expect((await rows()).map((row) => row["id"])).toEqual([id, next]);
    const queues = await database.sql("select queue_name from howdah._private_job_queues where locked_at is not null");
    expect(queues).toEqual([{ queue_name: "a" }]);
    await cure();
    await completed.reach(7);
    expect(await rows()).toEqual([]);
    await worker.stop();
    await running;
  });

  it("does not keep a worker from stopping, which says what it leaves", async () => {
    await poison("delete", "return null");
    const { worker, logger, completed } = await startWorker();
    const running = worker.run();
    const { id } = await worker.client.addJob("t", "poison");
    await worker.client.addJob("t", 1);
    await completed.reach(1);
    await until(() => worker.metrics().stuck === 1);
    await worker.stop();
    await running;
    const left = logger.entries.find(({ message }) => message.startsWith("Outcomes could not be written"));
    expect(left?.fields).toMatchObject({ unwritten: 1 });
    expect((await rows()).map((row) => row["id"])).toEqual([id]);
  });

  it("does not keep a run from ending that takes all jobs once", async () => {
    await poison("delete", raise("42501"));
    const { worker } = await startWorker();
    await worker.client.addJobs([{ identifier: "t", payload: "poison" }, { identifier: "t" }, { identifier: "t" }]);
    expect(await worker.runOnce()).toMatchObject({ ended: "drained", completed: 2 });
    await worker.stop();
  });
});

describe("a row that a trigger keeps from being changed", () => {
  it.each([
    ["TT001", raise("TT001")],
    ["nothing said", "return null"],
  ])("holds up no other failure, and fails once when the trigger goes: %s", async (_, body) => {
    const { worker, errors, refused } = await startWorker();
    const failed = record(worker.hooks, "jobFail");
    await worker.client.addJob("failing", "poison");
    for (let job = 0; job < 5; job++) await worker.client.addJob("failing", job);
    await poison("update", body);
    const running = worker.run();
    await failed.reach(5);
    await until(() => worker.metrics().stuck === 1);
    expect(errors.events.filter(({ job }) => job)).toHaveLength(1);
    await cure();
    await failed.reach(6);
    const left = await database.sql("select attempts, last_error, locked_by from howdah._private_jobs");
    expect(left).toEqual(Array.from({ length: 6 }, () => ({ attempts: 1, last_error: "failed", locked_by: null })));
    expect(refused.events).toEqual([]);
    await worker.stop();
    await running;
  });
});

describe("a thousand rows that a trigger keeps", () => {
  it("cost 60 statements a minute at most after the first ten seconds", async () => {
    await database.sql("select howdah.add_job('t', '\"poison\"') from generate_series(1, 1000)");
    await poison("delete", raise("TT001"));
    const claims = await createClaims(database);
    const { jobs: claimed, claimedAt } = await claims.claim({ quantity: 1_000 });
    const jobs = claimed.map(
      (row) => new ClaimedJob(row, { workerId: "w", sentAt: 0, claimedAt, claimedAtUs: 0, taskIdentifiers: new Map() }),
    );
    const clock = createManualClock();
    let [sent, answered] = [0, 0];
    const release: Release = async (request) => {
      sent += 1;
      try {
        return await claims.release(request);
      } finally {
        answered += 1;
      }
    };
    const settings = { completeJobBatchDelayMs: 0, failJobBatchDelayMs: 0 };
    const releaser = new Releaser(
      { clock, settings },
      {
        statements: { release },
        listener: { released() {}, refused() {}, unknown() {}, freed() {}, lanesFreed() {}, failed() {}, stuck() {} },
      },
    );
    const pass = async (seconds: number): Promise<number> => {
      const before = sent;
      for (let second = 0; second < seconds; second++) {
        await clock.advance(1_000);
        await until(() => sent === answered);
      }
      return sent - before;
    };
    for (const job of jobs) releaser.add({ job, outcome: { kind: "completed" }, durationMs: 1, endsChain: false });
    await until(() => sent > 5 && sent === answered);
    await pass(10);
    expect(await pass(60)).toBeLessThanOrEqual(60);
    await cure();
    await pass(2);
    expect([releaser.size, await rows()]).toEqual([0, []]);
  });
});
