import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { type DeadLetter, defineTask, unrecoverable } from "../../../src/index.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_tasks, howdah._private_job_queues");
});

afterAll(() => database.drop());

const letters: DeadLetter<{ to: string }>[] = [];
beforeEach(() => void letters.splice(0));

const bury = defineTask({
  identifier: "bury",
  run: (letter: DeadLetter<{ to: string }>) => void letters.push(letter),
});

const mail = defineTask({
  identifier: "mail",
  deadLetter: bury,
  retry: { type: "fixed", delay: 0 },
  run({ to }: { to: string }) {
    throw to === "nowhere" ? unrecoverable(new Error("no such mailbox")) : new Error("mailbox is full");
  },
});

async function stored(): Promise<string[]> {
  return (await client.listJobs({ task: "bury" })).jobs.map(({ payload }) => (payload as DeadLetter).job.id);
}

it("a job that fails for good adds a job of the task that gets its dead letters, which runs", async () => {
  await using worker = await createTestWorker(database, { tasks: [mail, bury], pollInterval: "1h" });
  const running = worker.run();
  const full = await client.addJob(mail, { to: "Ada" }, { maxAttempts: 2, queueName: "mails", jobKey: "k" });
  // Workers are notified: nothing is polled.
  await until(() => letters.length === 1);
  expect(letters[0]).toEqual({
    job: { id: full.id, task: "mail", queueName: "mails", key: "k", attempts: 2, createdAt: expect.any(String) },
    payload: { to: "Ada" },
    error: expect.stringContaining("mailbox is full"),
  });
  expect(Date.parse(letters[0]?.job.createdAt ?? "")).toBe(full.createdAt.getTime());
  const gone = await client.addJob(mail, { to: "nowhere" });
  await until(() => letters.length === 2);
  expect(letters[1]?.job).toMatchObject({ id: gone.id, attempts: 25, queueName: null, key: null });
  await worker.stop();
  await running;
});

it("so does a call that marks it as failed, once, and none for a job that was cancelled", async () => {
  await using worker = await createTestWorker(database, { tasks: [mail] });
  expect(worker).toBeDefined();
  const jobs = await client.addJobs(["a", "b", "c"].map((to) => ({ task: mail, payload: { to } })));
  const [a = "", b = "", c = ""] = jobs.map(({ id }) => id);
  await client.permanentlyFailJobs([a, b], "closed");
  await client.permanentlyFailJobs([a]);
  await client.cancelJobs([c]);
  expect(await stored()).toEqual([a, b]);
  await client.retryJobs([a]);
  await client.permanentlyFailJobs([a]);
  expect(await stored()).toEqual([a, b, a]);
});

it("so does the recovery of a job whose workers die with it", async () => {
  await using worker = await createTestWorker(database, { tasks: [mail], recovery: FAST_RECOVERY });
  const { id } = await client.addJob(mail, { to: "Ada" }, { maxAttempts: 1, runAt: "2100-01-01T00:00:00Z" });
  // As a worker leaves it that was killed in a handler that had been called after an earlier death.
  await database.sql(
    "update howdah._private_jobs set locked_by = 'howdah_0123456789abcdef01', locked_at = now() - interval '1 day', attempts = 1, _howdah_recoveries = -1 where id = $1",
    [id],
  );
  await database.sql("select howdah.recover_dead_worker_jobs('{howdah_0123456789abcdef01}')");
  expect(await client.getJob(id)).toMatchObject({ state: "failed" });
  expect(await stored()).toEqual([id]);
  expect(worker).toBeDefined();
});

it("neither the job has failed nor is there a letter, when the letter cannot be stored", async () => {
  await using worker = await createTestWorker(database, { tasks: [mail] });
  const { id } = await client.addJob(mail, { to: "nowhere" });
  await database.sql(`
    create function howdah.refuse_letters() returns trigger language plpgsql as
      'begin raise exception ''no letters''; end';
    create trigger refuse_letters before insert on howdah._private_jobs for each row execute function howdah.refuse_letters()`);
  const running = worker.run();
  await until(async () => (await client.getJob(id))?.state === "running");
  await database.sql("select pg_sleep(0.5)");
  expect((await client.getJob(id))?.state).toBe("running");
  await database.sql("drop function howdah.refuse_letters() cascade");
  await until(async () => (await client.getJob(id))?.state === "failed");
  expect(await stored()).toEqual([id]);
  await worker.stop();
  await running;
});

it("of many jobs that fail at once on several workers each has one letter", async () => {
  const workers = await Promise.all([1, 2, 3].map(() => createTestWorker(database, { tasks: [mail], concurrency: 8 })));
  const running = workers.map((worker) => worker.run());
  const jobs = await client.addJobs(
    Array.from({ length: 300 }, (_, n) => ({
      task: mail,
      payload: { to: n % 2 ? "nowhere" : "x" },
      spec: { maxAttempts: 2 },
    })),
  );
  await until(async () => (await client.stats()).failed.value === 300);
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all(running);
  const found = await database.sql("select payload->'job'->>'id' as id from howdah._private_jobs where attempts = 0");
  expect(found.map(({ id }) => id as string).sort()).toEqual(jobs.map(({ id }) => id).sort());
});

it("a task may not get its own dead letters, nor may tasks in a circle", async () => {
  const run = (): void => undefined;
  expect(() => defineTask({ identifier: "self", deadLetter: "self", run })).toThrow(/`deadLetter`/);
  const tasks = [
    defineTask({ identifier: "one", deadLetter: "two", run }),
    defineTask({ identifier: "two", deadLetter: "three", run }),
    defineTask({ identifier: "three", deadLetter: "one", run }),
  ];
  await expect(createTestWorker(database, { tasks })).rejects.toThrow(/one, two, three/);
});

it("letters end where they would come back, when workers name each other's tasks", async () => {
  const circle = ["one", "two", 'the "3rd"'];
  const runs: string[] = [];
  const workers = await Promise.all(
    circle.map((identifier, place) => {
      const deadLetter = circle[(place + 1) % circle.length];
      const run = (): never => {
        runs.push(identifier);
        throw unrecoverable(new Error("no"));
      };
      return createTestWorker(database, { tasks: [defineTask({ identifier, deadLetter, run })] });
    }),
  );
  // What json operators refuse does not keep a job from failing, or a letter from being written.
  await client.addJob("two", { nul: "\0", job: { task: "two", queueName: "one" } });
  for (let round = 0; round < 5; round += 1) for (const worker of workers) await worker.runOnce();
  expect(runs).toEqual(["two", 'the "3rd"', "one"]);
  await Promise.all(workers.map((worker) => worker.stop()));
  expect(await client.stats()).toMatchObject({ failed: { value: 3 } });
});
