import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { readProjectFile, ROOT } from "./project-tree.ts";

interface Step {
  readonly name: string;
  readonly isFullOnly: boolean;
}

/** What `node scripts/check.mjs --list` prints: two lines a step. */
function listedSteps(): Step[] {
  const list = execFileSync(process.execPath, ["scripts/check.mjs", "--list"], { cwd: ROOT, encoding: "utf8" });
  const lines = list.trimEnd().split("\n");
  return lines.flatMap((line, index) => {
    const name = /^\S+/.exec(line)?.[0];
    return name === undefined ? [] : [{ name, isFullOnly: lines[index + 1]?.endsWith("(--full)") === true }];
  });
}

const rows = [...readProjectFile("CONTRIBUTING.md").matchAll(/^\| `([^`]+)` +\| +([\d.]+|–) \|([^|]*)\|$/gm)].map(
  ([, name = "", minutes = "", note = ""]) => ({
    name,
    minutes: Number(minutes),
    isFullOnly: note.includes("check:full"),
  }),
);

describe("the table of steps in CONTRIBUTING.md", () => {
  it("has the steps of the check in their order, and says which take part in check:full only", () => {
    expect(rows.map(({ name, isFullOnly }) => ({ name, isFullOnly }))).toEqual(listedSteps());
  });

  it("keeps what npm test runs below 35 minutes", () => {
    const minutes = rows.filter(({ isFullOnly }) => !isFullOnly).reduce((sum, row) => sum + row.minutes, 0);
    expect(minutes).toBeGreaterThan(5);
    expect(minutes).toBeLessThan(35);
  });
});
