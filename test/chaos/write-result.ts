import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/runtime/clock.ts";
import { describeResult } from "./report.ts";
import type { RunResult } from "./run.ts";
import type { Settings } from "./settings.ts";

/** Writes `latest.json` and `latest.md`: the figures that documentation may quote. */
export async function writeResult(folder: string, settings: Settings, result: RunResult): Promise<void> {
  const { violations, counts, struck, seconds } = result;
  const json = {
    seed: settings.seed,
    commit: git("rev-parse", "HEAD"),
    changed: git("status", "--porcelain") !== "",
    date: new Date(systemClock.now()).toISOString().slice(0, 10),
    machine: `${cpus().length} cores, Node.js ${process.versions.node}`,
    durationSeconds: Math.round(seconds),
    faultSeconds: Math.round(settings.durationMs / 1_000),
    workers: settings.workers,
    producers: settings.producers,
    failing: settings.failing,
    faults: struck,
    counts,
    lost: violations.filter(({ rule }) => rule === "nothing is lost").length,
    violations: violations.length,
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "latest.json"), `${JSON.stringify(json, null, 2)}\n`);
  await writeFile(join(folder, "latest.md"), toMarkdown(json, result));
}

interface RunDescription {
  readonly seed: number;
  readonly date: string;
  readonly machine: string;
  readonly durationSeconds: number;
  readonly faultSeconds: number;
}

function toMarkdown(run: RunDescription, result: RunResult): string {
  const rows = [...describeResult(result), [result.violations.length, "promises broken"] as const];
  const width = Math.max(...rows.map(([, text]) => text.length));
  const cell = (figure: number): string => figure.toLocaleString("en").padStart(9);
  return [
    "# The last run that was written down",
    "",
    `On ${run.date}: seed ${run.seed}, ${run.durationSeconds} seconds, faults in ${run.faultSeconds} of them, ${run.machine}.`,
    "",
    `| ${"what".padEnd(width)} |    number |`,
    `| ${"-".repeat(width)} | --------: |`,
    ...rows.map(([figure, text]) => `| ${text.padEnd(width)} | ${cell(figure)} |`),
    "",
  ].join("\n");
}

function git(...args: string[]): string {
  return execFileSync("git", args, { encoding: "utf8" }).trim();
}
