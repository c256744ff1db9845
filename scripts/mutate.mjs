/**
 * Breaks the code in one place at a time and looks whether the tests of that
 * place notice: npm run mutate -- [--only TEXT] [--resume] [--anchors]
 *
 * Works on a copy of the tree under the system's temporary folder, never on the
 * tree itself. Prints for each mutation of scripts/mutations.mjs one of:
 *
 *   caught       a test fails with it, and its file passes without it
 *   SURVIVED     every test passes
 *   NOT APPLIED  its text is not in its file exactly once, or what it leaves
 *                behind is no code that runs, so it says nothing about the tests
 *   UNCLEAR      the test that fails also fails without it
 *
 * Exits with 1 unless all are caught. Results are kept in .cache/mutations.json,
 * out of git: --resume leaves out what was caught before, and a file of tests
 * that caught a mutation goes first the next time. --only takes the mutations
 * whose name, file or tests contain TEXT; --anchors only looks for the texts.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutations } from "./mutations.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RESULTS = path.join(ROOT, ".cache/mutations.json");
/**
 * What tests are made of; nothing of it is written to but the file under mutation. Processes that tests start run
 * dist as it was built: they meet what is broken in the database only, so TypeScript is left to tests in this process.
 */
const COPIED = ["src", "dist", "test", "scripts", "docs", "package.json", "tsconfig.json", "vitest.config.ts"];
const TIME_LIMIT_MS = 300_000;
/** Mistakes of a mutation, not of the code that it changes. */
const NO_CODE = /syntax error at|(?:column|function|relation|operator) .* does not exist|ReferenceError/;

const { values } = parseArgs({
  options: { only: { type: "string", default: "" }, resume: { type: "boolean" }, anchors: { type: "boolean" } },
});
const results = await readResults();
const chosen = await choose();

/** @type {Map<string, Promise<boolean>>} Whether a file of tests passes on unbroken code. */
const proofs = new Map();
/** @type {import("node:child_process").ChildProcess | undefined} The run of tests that is under way. */
let running;
let stopping = false;
const counts = { caught: 0, SURVIVED: 0, "NOT APPLIED": 0, UNCLEAR: 0 };
const copy = values.anchors ? ROOT : await makeCopy();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void stop());
try {
  for (const mutation of chosen) await tryOut(mutation);
} finally {
  if (copy !== ROOT) await rm(copy, { recursive: true, force: true });
}
if (values.anchors) console.log(`${chosen.length - counts["NOT APPLIED"]} of ${chosen.length} texts are there once`);
else
  console.log(
    `\n${Object.entries(counts)
      .map((entry) => entry.toReversed().join(" "))
      .join(", ")}`,
  );
if (!values.anchors && counts.caught < chosen.length) process.exitCode = 1;
if (counts["NOT APPLIED"] > 0) process.exitCode = 1;

/** What was found so far is kept for --resume. */
async function stop() {
  stopping = true;
  running?.kill("SIGINT");
  await (running && once(running, "close"));
  if (copy !== ROOT) await rm(copy, { recursive: true, force: true });
  process.exit(130);
}

/** Those asked for; the ones that need no database first. */
async function choose() {
  const asked = mutations.filter(({ name, file, tests }) => [file, name, ...tests].join(" ").includes(values.only));
  if (asked.length === 0) throw new Error(`No mutation has ${JSON.stringify(values.only)} in its name, file or tests.`);
  const left = asked.filter((mutation) => !values.resume || results[digest(mutation)]?.verdict !== "caught");
  const isUnit = ({ tests }) => !tests.some(needsDatabase);
  return [...left.filter(isUnit), ...left.filter((mutation) => !isUnit(mutation))];
}

async function makeCopy() {
  const folder = await mkdtemp(path.join(tmpdir(), "howdah-mutate-"));
  for (const part of COPIED) run("cp", ["-R", path.join(ROOT, part), folder], ROOT);
  // Hard links: a copy takes a minute and a gigabyte, and tools write next to a symbolic link's target.
  run("cp", ["-al", path.join(ROOT, "node_modules"), folder], ROOT);
  await rm(path.join(folder, "node_modules/.vite"), { recursive: true, force: true });
  return folder;
}

async function tryOut(mutation) {
  const { name, file, find, replace } = mutation;
  const started = Date.now();
  const text = await readFile(path.join(copy, file), "utf8");
  const places = text.split(find).length - 1;
  let outcome;
  if (places !== 1) outcome = { verdict: "NOT APPLIED", detail: `its text is there ${places} times, not once` };
  else if (values.anchors) return;
  else {
    try {
      await write(
        file,
        text.replace(find, () => replace),
      );
      outcome = await judge(mutation);
    } finally {
      await write(file, text);
    }
    if (outcome.by && !(await passesUnbroken(outcome.by))) outcome.verdict = "UNCLEAR";
  }
  counts[outcome.verdict] += 1;
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`${outcome.verdict}  ${file}: ${name} (${seconds} s)`);
  if (outcome.by) console.log(`        ${outcome.by}`);
  if (outcome.detail) console.log(`        ${outcome.detail}`);
  await keep(mutation, { name, seconds, ...outcome });
}

async function write(file, text) {
  await writeFile(path.join(copy, file), text);
  if (file.endsWith(".sql")) run("node", ["scripts/generate-migrations.mjs"], copy);
}

/** The likeliest file of tests first, then the others in one run. */
async function judge(mutation) {
  const before = results[digest(mutation)]?.by;
  const tests = [...new Set([...mutation.tests.filter((test) => test === before), ...mutation.tests])];
  for (const part of [tests.slice(0, 1), tests.slice(1)]) {
    if (part.length === 0) continue;
    const failure = await failureOf(part);
    if (!failure) continue;
    const verdict = failure.by && !NO_CODE.test(failure.detail) ? "caught" : "NOT APPLIED";
    return { verdict, by: verdict === "caught" ? failure.by : undefined, detail: failure.detail };
  }
  return { verdict: "SURVIVED" };
}

function passesUnbroken(test) {
  const known = proofs.get(test) ?? failureOf([test]).then((failure) => failure === undefined);
  proofs.set(test, known);
  return known;
}

/** Which test fails first and with what; undefined when all pass. */
async function failureOf(tests) {
  const report = path.join(copy, "report.json");
  await rm(report, { force: true });
  const projects = [...new Set(tests.map((test) => (needsDatabase(test) ? "integration" : "unit")))];
  const options = ["--bail", "1", "--reporter", "json", "--outputFile", report];
  const { status, output, ended } = await vitest([
    ...projects.flatMap((one) => ["--project", one]),
    ...options,
    ...tests,
  ]);
  if (!ended) return { by: tests[0], detail: `the run has not ended after ${TIME_LIMIT_MS / 1000} s` };
  if (status === 0) return;
  const { testResults } = JSON.parse(await readFile(report, "utf8").catch(() => '{"testResults":[]}'));
  for (const { name, assertionResults } of testResults) {
    const failed = assertionResults.find((result) => result.status === "failed");
    const by = path.relative(copy, name);
    if (failed) return { by, detail: `${failed.fullName}: ${firstLine(failed.failureMessages[0] ?? "")}` };
  }
  const message = testResults.find((result) => result.message)?.message ?? output;
  return { by: undefined, detail: `no test ran: ${firstLine(message)}` };
}

/** @returns {Promise<{ status: number | null, output: string, ended: boolean }>} */
function vitest(args) {
  const command = ["node_modules/vitest/vitest.mjs", "run", ...args];
  const child = spawn(process.execPath, command, { cwd: copy, stdio: ["ignore", "ignore", "pipe"] });
  running = child;
  let output = "";
  child.stderr.on("data", (chunk) => (output += chunk));
  return new Promise((resolve) => {
    let ended = true;
    // The first asks vitest to take its server down, the second does not ask.
    const timers = [
      setTimeout(() => {
        ended = false;
        child.kill("SIGINT");
      }, TIME_LIMIT_MS),
      setTimeout(() => child.kill("SIGKILL"), TIME_LIMIT_MS + 30_000),
    ];
    child.on("close", (status) => {
      for (const timer of timers) clearTimeout(timer);
      running = undefined;
      // What was cut off says nothing.
      if (!stopping) resolve({ status, output, ended });
    });
  });
}

function needsDatabase(test) {
  return test.startsWith("test/");
}

function firstLine(text) {
  return text.trim().split("\n", 1)[0];
}

function digest({ file, find, replace }) {
  return createHash("sha256")
    .update(JSON.stringify([file, find, replace]))
    .digest("hex")
    .slice(0, 16);
}

async function readResults() {
  return JSON.parse(await readFile(RESULTS, "utf8").catch(() => "{}"));
}

async function keep(mutation, result) {
  results[digest(mutation)] = result;
  await mkdir(path.dirname(RESULTS), { recursive: true });
  await writeFile(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
}

function run(command, args, cwd) {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stderr}`);
}
