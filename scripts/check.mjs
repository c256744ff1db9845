/**
 * Runs the steps of `npm test` one after another, also after one that has failed; steps that need a failed one are
 * left out. Its output ends with what failed, test by test, because it is read from its end. The last line is
 * `N passed, N failed`: the tests of all vitest runs added up; a step that fails without a failing test counts as one.
 * When no test ran and something failed, the last line names it instead.
 *
 *   node scripts/check.mjs                 the steps of CI
 *   node scripts/check.mjs --full          and those that take longer
 *   node scripts/check.mjs --only NAME     one step, or several: --only format --only lint
 *   node scripts/check.mjs --list          prints the steps and what they are for
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

/** `full` steps run with --full only. A step is left out when the one that it `needs` came before it and did not pass. */
const STEPS = [
  {
    name: "generated",
    command: "node scripts/generate-migrations.mjs",
    why: "the SQL that the sources import; it is not in git, so it is written before any other step",
  },
  { name: "format", command: "prettier --check --log-level warn .", why: "one format, no discussion" },
  {
    name: "lint",
    command: "oxlint --type-aware",
    needs: "generated",
    why: "floating promises, forgotten cases, timers outside the clock",
  },
  {
    name: "types",
    command: "tsc -p tsconfig.json && tsc -p page",
    needs: "generated",
    why: "the compiler's word on sources, tests, test/types and the page",
  },
  {
    name: "layers",
    command: "depcruise src --output-type err",
    needs: "generated",
    why: "the architecture, and no circles",
  },
  {
    name: "unused",
    command: "knip --tsConfig tsconfig.build.json --treat-config-hints-as-errors",
    needs: "generated",
    why: "no file, export or dependency without a use",
  },
  { name: "migrations", command: "node scripts/lint-migrations.mjs", why: "squawk reads the SQL" },
  { name: "build", command: "npm run build --silent", needs: "generated", why: "dist/, which further steps look at" },
  { name: "publint", command: "publint --strict", needs: "build", why: "package.json points at files that exist" },
  {
    name: "attw",
    command: "attw --pack . --profile esm-only",
    needs: "build",
    why: "TypeScript finds the types of every subpath",
  },
  { name: "api", command: "npm run api --silent -- --check", needs: "build", why: "the public API is the one in api/" },
  {
    name: "comments",
    command: "typedoc --logLevel Warn",
    needs: "generated",
    why: "every export says what it promises",
  },
  {
    name: "bench",
    command:
      "node bench/run.mjs --quick && node bench/pairs.mjs --quick && node bench/laps.mjs --quick && node bench/statements.mjs --quick && node bench/limits.mjs --quick && node bench/metrics.mjs --quick && node bench/keep.mjs --quick && node bench/history.mjs --quick",
    needs: "build",
    why: "the benchmarks still run",
  },
  {
    name: "test",
    command: "vitest run",
    tests: true,
    needs: "build",
    why: "unit, integration, docs and the packed package",
  },
  {
    name: "browser",
    command: "vitest run --project browser",
    needs: "build",
    environment: { HOWDAH_TEST_BROWSER: "1" },
    tests: true,
    why: "the page in a real browser; left out where there is no Chromium",
  },
  {
    name: "chaos",
    command: "npm run chaos --silent -- --seed 20",
    needs: "build",
    why: "nothing is lost and queues stay serial while workers, sessions and the server die",
  },
  {
    name: "test-compat",
    command: "vitest run --project compat",
    needs: "build",
    environment: { HOWDAH_TEST_COMPAT: "0.17" },
    tests: true,
    why: "graphile-worker's whole interface on our schema, and a fleet of its workers and ours",
  },
  {
    name: "test-sql-15",
    command:
      "vitest run --project integration /sql/ /migrate/ /queues/claims /claim/bytes /claim/cost /claim/floors /claim/history /claim/named /claim/plans /claim/races /client/inspect /client/read-plans /release/fence /release/locks /release/release-and-claim",
    needs: "build",
    environment: { HOWDAH_TEST_POSTGRES: "15" },
    tests: true,
    why: "what depends on the version of PostgreSQL, on an older one",
  },
  {
    name: "test-reads-14",
    command:
      "vitest run --project integration /sql/samples /worker/samples /client/why /client/doctor /client/inspect /client/read-plans",
    needs: "build",
    environment: { HOWDAH_TEST_POSTGRES: "14" },
    tests: true,
    why: "samples, explanations, the doctor and lists on the oldest PostgreSQL",
  },
  {
    name: "test-prisma",
    command: "vitest run --project prisma",
    needs: "build",
    environment: { HOWDAH_TEST_PRISMA: "1" },
    tests: true,
    full: true,
    why: "transactions of Prisma, which is 300 MB large",
  },
  {
    name: "test-stack",
    command: "vitest run --project stack",
    needs: "build",
    environment: { HOWDAH_TEST_STACK: "1" },
    tests: true,
    full: true,
    why: "the page on frameworks and bundlers, with the real ones",
  },
  {
    name: "test-compat-0.18",
    command:
      "node --import ./scripts/typescript.mjs test/compat/install.ts && " +
      "test/compat/node_modules/node-24/bin/node node_modules/vitest/vitest.mjs run --project compat",
    needs: "build",
    environment: { HOWDAH_TEST_COMPAT: "0.18" },
    tests: true,
    full: true,
    why: "the same with its newest release, in the Node.js that this needs",
  },
  {
    name: "test-compat-rust",
    command: "vitest run --project compat-rust",
    needs: "build",
    environment: { HOWDAH_TEST_RUST: "1" },
    tests: true,
    full: true,
    why: "graphile_worker_rs itself on our schema, and we on its own; needs cargo",
  },
  {
    name: "fleet",
    command: "vitest run --project compat /fleet/",
    needs: "build",
    environment: { HOWDAH_TEST_COMPAT: "0.17", HOWDAH_COMPAT_MINUTES: "5" },
    tests: true,
    full: true,
    why: "five minutes of a fleet of graphile-worker's workers and ours, which are killed now and then",
  },
  {
    name: "browser-bulk",
    command: "vitest run --project browser test/browser/bulk",
    needs: "build",
    environment: { HOWDAH_TEST_BROWSER: "1", HOWDAH_BULK_JOBS: "500000" },
    tests: true,
    full: true,
    why: "half a million jobs retried from the page, paused, stopped, and while its process is killed",
  },
  {
    name: "site",
    command: "npm run docs --silent -- --look",
    needs: "generated",
    full: true,
    why: "the documentation as a site: no dead links, readable on a telephone, a search that finds",
  },
  {
    name: "test-jest",
    command: "vitest run --project jest",
    needs: "build",
    environment: { HOWDAH_TEST_JEST: "1" },
    tests: true,
    full: true,
    why: "the testing kit in jest, as ESM and as CommonJS",
  },
  {
    name: "test-compilers",
    command: "vitest run --project compilers",
    needs: "build",
    environment: { HOWDAH_TEST_COMPILERS: "1" },
    tests: true,
    full: true,
    why: "the oldest TypeScript that reads the types, and the newest",
  },
  {
    name: "newcomer",
    command: "vitest run --project newcomer",
    needs: "build",
    environment: { HOWDAH_TEST_NEWCOMER: "1" },
    tests: true,
    full: true,
    why: "an empty folder becomes a service with jobs: installed, compiled, run, tested, bundled",
  },
  {
    name: "runtimes",
    command: "vitest run --project runtimes",
    needs: "build",
    environment: { HOWDAH_TEST_RUNTIMES: "1" },
    tests: true,
    full: true,
    why: "the package in the oldest and newer releases of Node.js, in Bun and in Deno",
  },
  {
    name: "test-postgres-15",
    command: "vitest run --project integration",
    needs: "build",
    environment: { HOWDAH_TEST_POSTGRES: "15" },
    tests: true,
    full: true,
    why: "the integration tests on an older PostgreSQL",
  },
  {
    name: "test-postgres-16",
    command: "vitest run --project integration",
    needs: "build",
    environment: { HOWDAH_TEST_POSTGRES: "16" },
    tests: true,
    full: true,
    why: "and on those that most installations run",
  },
  {
    name: "test-postgres-17",
    command: "vitest run --project integration",
    needs: "build",
    environment: { HOWDAH_TEST_POSTGRES: "17" },
    tests: true,
    full: true,
    why: "and on those that most installations run",
  },
];

const MARKS = { passed: "✓", failed: "✗", "left out": "–" };

const root = resolve(import.meta.dirname, "..");
const OPTIONS = {
  full: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  only: { type: "string", multiple: true },
};
const flags = readFlags();

if (flags.list) {
  for (const { name, command, why, full } of STEPS) {
    console.log(`${name.padEnd(18)}${command}\n${" ".repeat(18)}${why}${full ? " (--full)" : ""}`);
  }
} else {
  process.exitCode = await runSteps(chosenSteps());
}

function chosenSteps() {
  // Every step reads what the first one writes.
  const isChosen = flags.only
    ? ({ name }) => name === "generated" || flags.only.includes(name)
    : ({ full }) => flags.full || !full;
  return STEPS.filter(isChosen);
}

/** Runs the steps, reports, and returns the exit code. */
async function runSteps(steps) {
  const results = [];
  for (const step of steps) {
    const isLeftOut = results.some(({ name, outcome }) => name === step.needs && outcome !== "passed");
    results.push(isLeftOut ? leaveOut(step) : await runStep(step));
  }
  printTimes(results);
  const failed = results.filter(({ outcome }) => outcome === "failed");
  if (failed.length > 0) console.log("");
  for (const result of failed) printFailures(result);
  const failures = failed.map(({ name }) => name);
  console.log(`\n${summarize(results, failures)}`);
  return failures.length > 0 ? 1 : 0;
}

/** At most 20 of them, so that the end of the output stays one page; without one, what the step said last. */
function printFailures({ name, failures, lastLines }) {
  console.log(`✗ ${name} failed. Run it alone: npm run check -- --only ${name}`);
  for (const { where, message } of failures.slice(0, 20)) console.log(`  ✗ ${where}\n    ${message}`);
  if (failures.length > 20) console.log(`  and ${failures.length - 20} more`);
  if (failures.length === 0) for (const line of lastLines) console.log(`  | ${line}`);
}

function leaveOut({ name, needs }) {
  console.log(`\n– ${name} is left out, because ${needs} did not pass`);
  return { name, outcome: "left out", seconds: 0, exitCode: "", passed: 0, failures: [], lastLines: [] };
}

async function runStep({ name, command, environment = {}, tests = false }) {
  console.log(`\n▶ ${name}: ${command}`);
  const scratch = mkdtempSync(join(tmpdir(), "howdah-check-"));
  const report = join(scratch, "tests.json");
  const start = performance.now();
  const child = spawn(
    tests ? `${command} --reporter=default --reporter="${join(import.meta.dirname, "check-reporter.mjs")}"` : command,
    {
      cwd: root,
      shell: true,
      // The reporter names the tests that failed; of any other step the end of its output is kept.
      stdio: ["inherit", ...(tests ? ["inherit", "inherit"] : ["pipe", "pipe"])],
      env: {
        ...process.env,
        ...environment,
        HOWDAH_CHECK_REPORT: report,
        PATH: [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter),
      },
    },
  );
  const lastLines = tests ? [] : showAndKeep(child);
  const [status] = await once(child, "close");
  const seconds = (performance.now() - start) / 1000;
  const counted = tests ? readReport(report) : { passed: 0, failures: [] };
  rmSync(scratch, { recursive: true, force: true });
  // A step that was killed has no exit code.
  return {
    name,
    outcome: status === 0 ? "passed" : "failed",
    seconds,
    exitCode: status ?? "killed",
    ...counted,
    lastLines,
  };
}

/** Shows what a step prints, and returns an array that holds the last 40 lines of it from then on. */
function showAndKeep({ stdout, stderr }) {
  const lines = [];
  for (const [from, to] of [
    [stdout, process.stdout],
    [stderr, process.stderr],
  ]) {
    from.pipe(to, { end: false });
    createInterface(from).on("line", (line) => {
      lines.push(line);
      if (lines.length > 40) lines.shift();
    });
  }
  return lines;
}

/** The last line: how many tests passed and failed, or what failed when no test ran. */
function summarize(results, failures) {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failures.length, 0);
  if (passed + failed === 0) {
    return failures.length > 0 ? `No test ran; failed: ${failures.join(", ")}` : "No test ran; every step passed";
  }
  const withoutTests = results.filter((result) => result.outcome === "failed" && result.failures.length === 0).length;
  return `${passed} passed, ${failed + withoutTests} failed`;
}

/** What check-reporter.mjs wrote; a run that ended before has counted nothing. */
function readReport(report) {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return { passed: 0, failures: [] };
  }
}

function printTimes(results) {
  const total = results.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log("\n  step                 seconds  exit code");
  for (const { name, outcome, seconds, exitCode } of [...results, { name: "total", seconds: total, exitCode: "" }]) {
    console.log(`${MARKS[outcome] ?? " "} ${name.padEnd(18)} ${seconds.toFixed(1).padStart(9)}  ${exitCode}`);
  }
}

function readFlags() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    const unknown = values.only?.find((name) => !STEPS.some((step) => step.name === name));
    if (unknown === undefined) return values;
    console.error(`Unknown step '${unknown}'\nSteps: ${STEPS.map(({ name }) => name).join(", ")}`);
  } catch (error) {
    const known = Object.keys(OPTIONS).map((name) => `--${name}`);
    console.error(`${error.message}\nOptions: ${known.join(", ")}`);
  }
  return process.exit(2);
}
