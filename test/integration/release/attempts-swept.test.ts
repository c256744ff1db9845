import { afterAll, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());

it("a worker that sweeps deletes the attempts of jobs that are gone, and no others", async () => {
  const tasks = (["gone", "kept"] as const).map((identifier) =>
    defineTask({
      identifier,
      retry: { type: "fixed", delay: 0 },
      ...(identifier === "kept" ? { keep: "1d" } : {}),
      run: (_: unknown, { job }) => {
        if (job.attempts === 1) throw new Error("once");
      },
    }),
  );
  await database.sql("select howdah.add_job('gone'), howdah.add_job('kept')");
  await using worker = await createTestWorker(database, { tasks, recovery: { sweepInterval: "100ms" } });
  const running = worker.run();
  const attempts = () =>
    database.sql("select attempt, error from howdah._howdah_attempts order by job_id") as Promise<
      { attempt: number; error: string }[]
    >;
  await until(async () => (await database.sql("select from howdah._howdah_history")).length === 1);
  await until(async () => (await attempts()).length === 1);
  expect(await attempts()).toEqual([{ attempt: 1, error: "once" }]);
  expect(await worker.client.listAttempts("2")).toMatchObject([{ attempt: 1, error: "once" }]);
  await worker.stop();
  await running;
});
