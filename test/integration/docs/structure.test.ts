import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { OF_RUNS, type Runs } from "../../../scripts/structure/measures.ts";
import { ROOT } from "../../docs/project-tree.ts";
import { createDatabase } from "../../harness/database.ts";

it(
  "one add and one whole job run no more files and functions than ARCHITECTURE.md shows",
  { timeout: 120_000 },
  async () => {
    const database = await createDatabase();
    const args = ["--import", "./scripts/typescript.mjs", "scripts/structure/run-time.ts", database.connectionString];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    const ran = JSON.parse(stdout) as Runs;
    const measured = OF_RUNS.map(({ what, most, value }) => ({ what, most, value: value(ran) }));
    expect(measured.every(({ value }) => value > 0)).toBe(true);
    expect(measured.filter(({ value, most }) => value > most)).toEqual([]);
    await database.drop();
  },
);
