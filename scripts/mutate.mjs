/**
 * Breaks the code in one place at a time and looks whether the tests of that
 * place notice: node scripts/mutate.mjs [--only TEXT] [--anchors]
 *
 * Works on a copy of the tree under the system's temporary folder. Prints for
 * each mutation of scripts/mutations.mjs whether it was caught. Exits with 1 when
 * one survived, or when the text that it replaces is not in its file exactly
 * once. --anchors looks for these texts only; --only takes the mutations whose
 * name or file contains TEXT.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutations } from "./mutations.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** What tests are made of; nothing of it is written to but the file under mutation. */
const COPIED = ["src", "test", "scripts", "docs", "package.json", "tsconfig.json", "vitest.config.ts"];

const { values } = parseArgs({ options: { only: { type: "string", default: "" }, anchors: { type: "boolean" } } });
const chosen = mutations.filter(({ name, file }) => `${file} ${name}`.includes(values.only));
if (chosen.length === 0) throw new Error(`No mutation has ${JSON.stringify(values.only)} in its name or file.`);

const problems = [];
for (const mutation of chosen) {
  const count = (await readFile(path.join(ROOT, mutation.file), "utf8")).split(mutation.find).length - 1;
  if (count !== 1) problems.push(`${mutation.file}: ${mutation.name}: its text is there ${count} times, not once`);
}
for (const problem of problems) console.error(`anchor not found  ${problem}`);

let survived = 0;
if (!values.anchors) {
  const copy = await makeCopy();
  try {
    for (const mutation of chosen)
      if (!problems.some((problem) => problem.includes(mutation.name))) await tryOut(copy, mutation);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
if (survived > 0 || problems.length > 0) process.exitCode = 1;

async function makeCopy() {
  const copy = await mkdtemp(path.join(tmpdir(), "howdah-mutate-"));
  for (const part of COPIED) run("cp", ["-R", path.join(ROOT, part), copy], ROOT);
  // Hard links: a copy takes a minute and a gigabyte, and tools write next to a symbolic link's target.
  run("cp", ["-al", path.join(ROOT, "node_modules"), copy], ROOT);
  return copy;
}

async function tryOut(copy, { name, file, find, replace, tests }) {
  const target = path.join(copy, file);
  const text = await readFile(target, "utf8");
  try {
    await writeFile(
      target,
      text.replace(find, () => replace),
    );
    if (file.endsWith(".sql")) run("node", ["scripts/generate-migrations.mjs"], copy);
    const started = Date.now();
    const caughtBy = tests.find((test) => !passes(copy, test));
    const seconds = Math.round((Date.now() - started) / 1000);
    if (caughtBy === undefined) survived += 1;
    const verdict = caughtBy === undefined ? "SURVIVED" : `caught by ${caughtBy}`;
    console.log(`${verdict}  ${file}: ${name} (${seconds} s)`);
  } finally {
    await writeFile(target, text);
    if (file.endsWith(".sql")) run("node", ["scripts/generate-migrations.mjs"], copy);
  }
}

/** One file of tests after another, as most mutations are caught by the first. */
function passes(copy, test) {
  const project = test.startsWith("test/") ? "integration" : "unit";
  const { status } = spawnSync("npx", ["vitest", "run", "--project", project, test, "--bail", "1"], {
    cwd: copy,
    stdio: "ignore",
    timeout: 600_000,
  });
  return status === 0;
}

function run(command, args, cwd) {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stderr}`);
}
