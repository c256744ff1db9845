import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { ROOT } from "./project-tree.ts";

it("the report of the benchmark, its charts and the page about it say what the stored results say", () => {
  const { stderr, status } = spawnSync(process.execPath, ["bench/report.mjs", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
