import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createTaskRegistry } from "../../../src/job/task-registry.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks");
});

afterAll(async () => {
  await database.drop();
});

const tasks = async (): Promise<unknown[]> =>
  (await database.sql("select identifier from howdah._private_tasks order by 1")).map(({ identifier }) => identifier);
const queues = async (): Promise<unknown[]> => (await client.listQueues()).queues.map(({ name }) => name);

describe("cleanup", () => {
  it("removes failed jobs that no worker runs, however many, and says how many", async () => {
    await client.addJobs(Array.from({ length: 2_500 }, () => ({ identifier: "t", spec: { maxAttempts: 1 } })));
    await database.sql("update howdah._private_jobs set attempts = 1");
    await database.sql(`update howdah._private_jobs set locked_by = 'w', locked_at = now()
      where id = (select max(id) from howdah._private_jobs)`);
    const waiting = await client.addJob("t");
    const over = await client.addJob("t");
    await database.sql("update howdah._private_jobs set attempts = max_attempts + 1 where id = $1", [over.id]);

    expect(await client.cleanup(["permanentlyFailedJobs"])).toEqual({ permanentlyFailedJobs: 2_500 });
    const { jobs } = await client.listJobs();
    expect(jobs.map(({ id, state }) => [id, state])).toEqual([
      [expect.any(String), "running"],
      [waiting.id, "ready"],
    ]);
  });

  it("removes the tasks that no job uses, except those to keep (behaviours 105, 106)", async () => {
    const jobs = await client.addJobs(
      ["job3", "test_job1", "test_job2", "test_job3", "test_job4"].map((identifier) => ({ identifier })),
    );
    await client.completeJobs([jobs[2]?.id ?? "", jobs[4]?.id ?? ""]);

    expect(await client.cleanup(["unusedTasks"], { keepTasks: ["test_job4"] })).toEqual({ unusedTasks: 1 });
    expect(await tasks()).toEqual(["job3", "test_job1", "test_job3", "test_job4"]);
    expect(await client.cleanup(["unusedTasks"])).toEqual({ unusedTasks: 1 });
    expect(await tasks()).toEqual(["job3", "test_job1", "test_job3"]);
  });

  it("keeps the tasks that the client was given (behaviours 108)", async () => {
    const known = defineTask({ identifier: "known", run() {} });
    const knowing = clientOver({
      ...database,
      logger: silentLogger,
      tasks: createTaskRegistry([known]),
      keepTasks: ["kept"],
    });
    await knowing.completeJobs([(await knowing.addJob(known)).id]);
    for (const identifier of ["kept", "other"]) await client.completeJobs([(await client.addJob(identifier)).id]);
    expect(await knowing.cleanup(["unusedTasks"])).toEqual({ unusedTasks: 1 });
    expect(await tasks()).toEqual(["kept", "known"]);
  });

  it("removes the queues that no job uses, beside jobs without a queue (behaviours 104, S23)", async () => {
    const jobs = await client.addJobs(
      ["test", "test2", "test3"].map((queueName) => ({ identifier: "t", spec: { queueName } })),
    );
    await client.addJob("t");
    await client.completeJobs([jobs[2]?.id ?? ""]);
    expect(await client.cleanup(["unusedQueues"])).toEqual({ unusedQueues: 1 });
    expect(await queues()).toEqual(["test", "test2"]);
  });

  it("leaves a locked queue alone (behaviours S23)", async () => {
    const job = await client.addJob("t", {}, { queueName: "held" });
    await client.completeJobs([job.id]);
    await database.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'w'");
    expect(await client.cleanup(["unusedQueues"])).toEqual({ unusedQueues: 0 });
    expect(await queues()).toEqual(["held"]);
  });

  it("goes from jobs to tasks and queues, whatever the order asked for is", async () => {
    await client.addJob("t", {}, { queueName: "q", maxAttempts: 1 });
    await database.sql("update howdah._private_jobs set attempts = 1");
    expect(await client.cleanup(["unusedQueues", "unusedTasks", "permanentlyFailedJobs"])).toEqual({
      permanentlyFailedJobs: 1,
      unusedTasks: 1,
      unusedQueues: 1,
    });
    expect([await tasks(), await queues()]).toEqual([[], []]);
  });

  it("does nothing when nothing is asked for", async () => {
    expect(await client.cleanup([])).toEqual({});
  });

  it("refuses names that it does not know, and says which there are (behaviours S24)", async () => {
    await expect(client.cleanup(["gcJobQueues" as never])).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: /permanentlyFailedJobs.*unusedTasks.*unusedQueues/,
    });
    await expect(client.cleanup([], { keepTask: ["x"] } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: /did you mean `keepTasks`/,
    });
  });

  it("never takes the task and the queue from under an add that has not committed", async () => {
    await client.completeJobs([(await client.addJob("t", {}, { queueName: "q" })).id]);
    const session = await database.connect();
    await session.query("begin");
    const added = await client.inTransaction(session).addJob("t", {}, { queueName: "q" });

    const cleaning = client.cleanup(["unusedTasks", "unusedQueues"]);
    await until(
      async () =>
        (
          await database.sql(
            "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like '%clean_up%'",
          )
        ).length,
      { message: "clean-up to wait for the add" },
    );
    await session.query("commit");

    expect(await cleaning).toEqual({ unusedTasks: 0, unusedQueues: 0 });
    expect(await client.getJob(added.id)).toEqual(added);
  });

  it("leaves no job without its task or queue when adds and clean-ups go on together", async () => {
    const adding = Array.from({ length: 8 }, async (_, producer) => {
      for (let round = 0; round < 15; round++) {
        const spec = { queueName: `q${(producer + round) % 3}` };
        const job = await client.addJob(`t${round % 2}`, {}, spec);
        const [second] = await client.addJobs([{ identifier: `t${round % 2}`, spec }]);
        await client.completeJobs([job.id, ...(producer % 2 ? [second?.id ?? ""] : [])]);
      }
    });
    const cleaning = (async () => {
      for (let round = 0; round < 20; round++) await client.cleanup(["unusedTasks", "unusedQueues"]);
    })();
    await Promise.all([...adding, cleaning]);

    const dangling = await database.sql(`select job.id from howdah._private_jobs as job
      where not exists (select from howdah._private_tasks as task where task.id = job.task_id)
        or not exists (select from howdah._private_job_queues as queue where queue.id = job.job_queue_id)`);
    expect(dangling).toEqual([]);
    expect(await client.stats()).toMatchObject({ ready: { value: 60 } });
  });
});
