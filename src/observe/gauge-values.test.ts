import fc from "fast-check";
import { expect, it } from "vitest";
import { parsePrometheusText } from "../../test/harness/prometheus-text.ts";
import { expositionOf } from "./gauge-values.ts";

it("prints what a server of Prometheus reads, whatever a task is called", () => {
  const task = fc.string({ unit: "binary" }).filter((name) => !/[\n\r\u2028\u2029]/.test(name));
  fc.assert(
    fc.property(fc.oneof(task, fc.constantFrom('"', "\\", "a\\nb", "\n", '{task="x"} 1')), (name) => {
      const text = expositionOf([
        { name: "howdah_task_jobs", value: 3, labels: [name, "ready"] },
        { name: "howdah_oldest_due_seconds", value: 0.25, labels: ["plain"] },
        { name: "howdah_backlog_age_seconds", value: 1e-7, labels: [] },
      ]);
      const scrape = parsePrometheusText(text);
      expect(scrape.value("howdah_task_jobs", { task: name, state: "ready" })).toBe(3);
      expect(scrape.value("howdah_oldest_due_seconds", { kind: "plain" })).toBe(0.25);
      expect(scrape.value("howdah_backlog_age_seconds")).toBe(1e-7);
      expect([...scrape.types.keys()]).toEqual([
        "howdah_task_jobs",
        "howdah_oldest_due_seconds",
        "howdah_backlog_age_seconds",
      ]);
    }),
  );
});
