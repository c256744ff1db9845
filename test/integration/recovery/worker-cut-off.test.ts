import { afterAll, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";
import { aborted, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
const proxy = await openProxy(database.connectionString);
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

// The server does not see that the worker is gone: its connections are open,
// and nothing comes over them.
it("a worker that is cut off stops its queued handler before another one runs the queue, and lives on when it is back", async () => {
  const told: string[] = [];
  const taskOf = (name: string) =>
    defineTask({
      identifier: "job",
      async run(n: number, { signal }) {
        told.push(`${name} begins ${n}`);
        if (name === "cut off" && n === 0) {
          const reason = (await aborted(signal)) as { readonly code: string };
          told.push(`${name} ends ${n}: ${reason.code}`);
          throw reason;
        }
      },
    });
  // Long enough that a machine with much to do does not make the worker look cut off before it is.
  const contact = { contactTimeout: "2500ms", queueDelay: "4s" } as const;
  const recovery = { heartbeatInterval: "200ms", sweepInterval: "200ms", sweepThreshold: "500ms", ...contact } as const;
  const options = { concurrency: 2, pollInterval: "100ms", recovery } as const;
  const { connectionString } = proxy;
  await using cutOff = await createTestWorker(database, { ...options, tasks: [taskOf("cut off")], connectionString });
  await using other = await createTestWorker(database, { ...options, tasks: [taskOf("other")] });
  const oldId = cutOff.id;
  const completed = [record(cutOff.hooks, "jobComplete"), record(other.hooks, "jobComplete")];
  const running = [cutOff.run()];
  await cutOff.client.addJobs([0, 1, 2].map((n) => ({ task: "job", payload: n, spec: { queueName: "q" } })));
  await until(() => told.includes("cut off begins 0"));
  running.push(other.run());

  proxy.hold();
  await until(() => told.includes("other begins 2"), {
    message: "another worker to run the queue",
    deadlineMs: 20_000,
  });
  proxy.allow();
  await until(() => cutOff.id !== oldId, { message: "the worker to learn that it was declared dead" });
  expect(told).toEqual([
    "cut off begins 0",
    "cut off ends 0: HOWDAH_ABORTED_LOST",
    "other begins 0",
    "other begins 1",
    "other begins 2",
  ]);
  await other.stop();
  await database.sql("select howdah.add_job('job', '3')");
  await until(() => told.includes("cut off begins 3"));
  await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0);
  await cutOff.stop();
  await Promise.all(running);
  expect(completed.map(({ events }) => events.length)).toEqual([1, 3]);
});
