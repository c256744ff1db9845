/**
 * Measures Howdah beside other job queues on PostgreSQL, all in one run against one server.
 *
 *   node bench/run.mjs                    everything; writes bench/results/ and what pages show of them
 *   node bench/run.mjs --with rust,go     also the sides in these languages, built from bench/peers/
 *   node bench/run.mjs --quick            tiny numbers, to see that it runs; writes nothing
 *   node bench/run.mjs --only NAME,…      some scenarios (--list shows them); the results of the others stay
 *   node bench/run.mjs --resume           only what this commit has no results of yet, after a run was interrupted
 *   node bench/run.mjs --peers NAME,…     some sides
 *   node bench/run.mjs --repeats N        how often each cell is measured (3)
 *   node bench/run.mjs --out FOLDER       another folder for the results
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine, loadAverage } from "./measure/machine.mjs";
import { readFlags } from "./measure/flags.mjs";
import { openPostgres, SERVER_SETTINGS } from "./measure/postgres.mjs";
import { labelOf, languageOf, PEER_NAMES, reasonToSkip, settingsOf, versionOf } from "./peers/peers.mjs";
import { buildProgram, LANGUAGE_NAMES } from "./peers/programs.mjs";
import { resultOf } from "./report/result.mjs";
import { printScenario } from "./report/console.mjs";
import { formatFigure } from "./report/format.mjs";
import { writePages } from "./report/pages.mjs";
import { mergeReports, readReport, writeReport } from "./report/store.mjs";
import { SCENARIOS } from "./scenarios/scenarios.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CELL_LIMIT_MS = 30_000;
const QUICK_LIMIT_MS = 1_000;
const QUICK_PEERS = [
  "howdah",
  "howdah-shared",
  "bare-loop",
  "bare-sql",
  "bare-queue",
  "bare-statements",
  "graphile-worker-0.17",
];
const RESULTS = fileURLToPath(new URL("results", import.meta.url));

const OPTIONS = /** @type {const} */ ({
  quick: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  only: { type: "string" },
  resume: { type: "boolean", default: false },
  peers: { type: "string" },
  with: { type: "string", default: "" },
  repeats: { type: "string", default: "3" },
  out: { type: "string", default: RESULTS },
});
const flags = readFlags(OPTIONS);

if (flags.list) {
  for (const { name, title, what } of SCENARIOS) console.log(`${name.padEnd(18)}${title}\n${" ".repeat(18)}${what}`);
} else {
  await main();
}

async function main() {
  const startedAt = performance.now();
  const commit = describeCommit();
  const node = findNode();
  const peers = installedPeers(chosenPeers(), node.major);
  const repeats = flags.quick ? 1 : Number(flags.repeats);
  const wanted = chosenScenarios({ commit, repeats });
  const load = loadAverage();
  if (load > 0.5 && !flags.quick) console.log(`The machine is not quiet: load average ${load.toFixed(2)}.`);
  const postgres = await openPostgres();
  const run = { postgres, node: node.path, quick: flags.quick, limitMs: flags.quick ? QUICK_LIMIT_MS : CELL_LIMIT_MS };
  const results = [];
  try {
    for (const scenario of wanted) {
      const conditions = { at: new Date().toISOString(), commit, load: loadAverage(), ...surroundings(postgres, node) };
      const scenarioStartedAt = performance.now();
      const times = scenario.repeats ?? repeats;
      const cells = await measureScenario(run, scenario, { peers, repeats: times });
      const seconds = Math.round((performance.now() - scenarioStartedAt) / 1000);
      results.push({ ...resultOf(scenario, cells), conditions: { ...conditions, repeats: times, seconds } });
      if (flags.quick) continue;
      printScenario(results.at(-1));
      // After each, so that a run that is interrupted loses only the one under way.
      const scenarioNames = SCENARIOS.map(({ name }) => name);
      const measured = { peers: await describePeers(peers), results, scenarioNames };
      const report = mergeReports(readReport(flags.out), measured);
      await writeReport(flags.out, report);
      if (resolve(flags.out) === RESULTS) writePages(report);
    }
  } finally {
    await postgres.stop();
  }
  console.log(
    `\n${results.length} scenarios in ${seconds(startedAt)} s${flags.quick ? "; at this size the figures say nothing" : `; results are in ${flags.out}`}`,
  );
  const failed = results.flatMap(({ rows }) => rows).filter(({ error }) => error);
  if (failed.length > 0) process.exitCode = 1;
}

/**
 * Measures every side in turn, and again in the opposite order; a side that ran into the limit once is not repeated.
 * Sides are measured at the same time only where that disturbs nothing, or where the figures do not matter.
 */
async function measureScenario(run, scenario, { peers, repeats }) {
  const sides = scenario.sides
    .filter(({ peer }) => peers.includes(peer))
    .map((side) => ({ ...side, label: [labelOf(side.peer), side.variant].filter(Boolean).join(", ") }));
  const cells = sides.map((side) => ({ label: side.label, peer: side.peer, side, runs: [] }));
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const order = repeat % 2 === 0 ? cells : cells.toReversed();
    const open = order.filter(({ runs }) => !runs.some(({ isComplete, error }) => isComplete === false || error));
    const measure = async ({ side, runs }) => {
      runs.push({ repeat, ...(await measureCell(run, scenario, side)) });
    };
    if (run.quick || scenario.isConcurrent) await Promise.all(open.map(measure));
    else for (const cell of open) await measure(cell);
  }
  return cells;
}

async function measureCell(run, scenario, side) {
  const startedAt = performance.now();
  const say = (what) =>
    process.stderr.write(`  ${scenario.name}: ${side.label}: ${what} after ${seconds(startedAt)} s\n`);
  try {
    const cell = await scenario.run(run, side);
    say(`${formatFigure(cell.value)} ${scenario.unit}`);
    return cell;
  } catch (error) {
    say("failed");
    console.error(error);
    return { error: String(error.message).split("\n")[0] };
  }
}

/** Those that were asked for; a run that goes on leaves out what this commit has been measured for as often. */
function chosenScenarios({ commit, repeats }) {
  const names = chosen(
    "scenario",
    flags.only,
    SCENARIOS.map(({ name }) => name),
  );
  const { results } = flags.resume ? readReport(flags.out) : { results: [] };
  const isDone = (scenario) =>
    results.some(
      ({ name, conditions }) =>
        name === scenario.name && conditions.commit === commit && conditions.repeats >= (scenario.repeats ?? repeats),
    );
  return SCENARIOS.filter((scenario) => names.includes(scenario.name) && !isDone(scenario));
}

/** The commit that is measured, with a plus when files differ from it. */
function describeCommit() {
  const git = (...words) => execFileSync("git", words, { encoding: "utf8", cwd: ROOT, stdio: "pipe" }).trim();
  try {
    const changed = git("status", "--porcelain", "--", ".", ":!bench/results", ":!docs");
    return `${git("rev-parse", "--short", "HEAD")}${changed === "" ? "" : "+"}`;
  } catch {
    return "unknown";
  }
}

function surroundings(postgres, node) {
  const server = { version: postgres.version, settings: postgres.isGiven ? undefined : SERVER_SETTINGS };
  return { machine: describeMachine(), server, node: node.version };
}

function seconds(startedAt) {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}

function chosen(what, list, known) {
  if (list === undefined) return known;
  const names = list.split(",").filter((name) => name !== "");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`Unknown ${what} ${unknown}; there are: ${known.join(", ")}`);
  return names;
}

/** The sides that were asked for; a quick run has only some of those on Node, and those in the languages asked for. */
function chosenPeers() {
  if (flags.peers !== undefined || !flags.quick) return chosen("side", flags.peers, PEER_NAMES);
  return PEER_NAMES.filter((name) => QUICK_PEERS.includes(name) || chosenLanguages().includes(languageOf(name)));
}

function chosenLanguages() {
  return chosen("language", flags.with, LANGUAGE_NAMES);
}

/** The sides that can run here; says of each other one why not. */
function installedPeers(names, nodeMajor) {
  return names.filter((name) => {
    const language = languageOf(name);
    const reason = language ? reasonNotBuilt(language) : reasonToSkip(name, nodeMajor);
    if (reason) console.log(`Skipping ${labelOf(name)}: ${reason}.`);
    return reason === undefined;
  });
}

/** Builds a side in another language when it was asked for, and says why it is not there, or `undefined`. */
function reasonNotBuilt(language) {
  return chosenLanguages().includes(language) ? buildProgram(language) : `in ${language}; --with ${language} builds it`;
}

/** All sides run on one Node: the newest that bench/ has installed, or else the one that runs this. */
function findNode() {
  const installed = fileURLToPath(new URL("node_modules/node-24/bin/node", import.meta.url));
  const path = existsSync(installed) ? installed : process.execPath;
  const version = execFileSync(path, ["--version"], { encoding: "utf8" }).trim();
  return { path, version, major: Number(/^v(\d+)/.exec(version)[1]) };
}

async function describePeers(names) {
  const described = names.map(async (name) => ({
    name,
    label: labelOf(name),
    version: versionOf(name),
    settings: await settingsOf(name),
  }));
  return Promise.all(described);
}
