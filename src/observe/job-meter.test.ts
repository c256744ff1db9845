import { expect, it } from "vitest";
import { createHooks } from "../hooks/hooks.ts";
import type { Job } from "../job/job.ts";
import { silentLogger } from "../runtime/logger.ts";
import { JobMeter } from "./job-meter.ts";
import { Measurements } from "./measurements.ts";
import { OTHER_TASKS, TaskLabels } from "./task-labels.ts";

function setUp(maxTasks: number) {
  const hooks = createHooks({ logger: silentLogger });
  const measurements = new Measurements();
  new JobMeter(measurements, new TaskLabels(maxTasks)).follow(hooks);
  const counts = (): Record<string, number> =>
    Object.fromEntries(
      [...measurements.counts("howdah_jobs_added_total")].map(({ labels, value }) => [labels[0], value]),
    );
  return { hooks, measurements, counts };
}

it("gives the first tasks labels of their own, and the other ten thousand one together", () => {
  const { hooks, measurements, counts } = setUp(100);
  for (let index = 0; index < 10_100; index++) hooks.emit("jobAdd", { task: `task-${index}`, jobId: "1" });
  hooks.emit("jobAdd", { task: "task-7", jobId: "1" });
  const found = counts();
  expect(Object.keys(found)).toHaveLength(101);
  expect(found).toMatchObject({ "task-7": 2, "task-99": 1, [OTHER_TASKS]: 10_000 });
  expect(found).not.toHaveProperty("task-100");
  // The same tasks have a label in every metric.
  const job = { task: "task-5000", attempts: 1 } as Job;
  hooks.emit("jobSettle", { workerId: "w", job, outcome: "completed", durationMs: 5, waitedMs: 7 });
  expect([...measurements.counts("howdah_jobs_finished_total")].map(({ labels }) => labels)).toEqual([
    [OTHER_TASKS, "completed"],
  ]);
});

it("has no label for a job whose task is not known", () => {
  const { hooks, counts } = setUp(100);
  hooks.emit("jobAdd", { task: "", jobId: "1" });
  expect(counts()).toEqual({ [OTHER_TASKS]: 1 });
});
