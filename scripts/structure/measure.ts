/**
 * Measures how far a reader has to walk through the sources, and what of them
 * runs for one add and for one job: npm run structure -- [--write] [--list TEXT]
 *
 * Prints a table. --write puts it into ARCHITECTURE.md; --list prints what a
 * measure whose name holds TEXT is made of, the worst first. The most that each
 * may be stands in scripts/structure/measures.ts, and tests hold it.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { startPostgres } from "../../src/embedded/index.ts";
import { type Measure, OF_RUNS, OF_SOURCES, type Runs } from "./measures.ts";
import { readSources } from "./source.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = new URL("../../ARCHITECTURE.md", import.meta.url);
const BETWEEN = /(<!-- structure -->\n)[^]*?(<!-- end of structure -->)/;

const { values } = parseArgs({ options: { write: { type: "boolean", default: false }, list: { type: "string" } } });
const found = [...figuresOf(OF_SOURCES, readSources(ROOT)), ...figuresOf(OF_RUNS, await measureRuns())];
if (values.list !== undefined) {
  for (const { what, list } of found.filter(({ what }) => what.includes(values.list ?? ""))) {
    console.log(`${what}:\n  ${list().join("\n  ")}`);
  }
} else {
  console.log(table());
}
if (values.write) {
  const page = await readFile(PAGE, "utf8");
  if (!BETWEEN.test(page)) throw new Error("ARCHITECTURE.md has no place for the table");
  await writeFile(PAGE, page.replace(BETWEEN, `$1\n${table()}\n\n$2`));
}

interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly most: number;
  readonly value: number;
  list(): string[];
}

function figuresOf<Subject>(measures: readonly Measure<Subject>[], subject: Subject): Figure[] {
  return measures.map((measure) => ({
    what: measure.what,
    unit: measure.unit ?? "",
    most: measure.most,
    value: measure.value(subject),
    list: () => measure.list(subject),
  }));
}

function table(): string {
  const rows = found.map(({ what, unit, most, value }) => `| ${what} | ${value} ${unit} | ${most} |`);
  return ["| measure | now | at most |", "| --- | ---: | ---: |", ...rows].join("\n");
}

/** In a process of its own, where nothing else runs, on a server of its own. */
async function measureRuns(): Promise<Runs> {
  const server = await startPostgres();
  try {
    const args = ["--import", "./scripts/typescript.mjs", "scripts/structure/run-time.ts", server.connectionString];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    return JSON.parse(stdout) as Runs;
  } finally {
    await server.stop();
  }
}
