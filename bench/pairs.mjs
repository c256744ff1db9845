/**
 * Measures this tree against another checkout of the project, in pairs: one cell here, one cell there, in turn and with
 * the order changed from pair to pair, on one server. What counts is the ratio within a pair, because the speed of a
 * machine drifts: the median of the ratios, and the interval that holds the true median with 95% probability.
 *
 *   git worktree add ../before HEAD~10 && (cd ../before && npm ci && npm run build)
 *   node bench/pairs.mjs --base ../before                        drain, latency and single adds
 *   node bench/pairs.mjs --base ../before --only NAME,…          other scenarios (those of run.mjs --list)
 *   node bench/pairs.mjs --base ../before --sides TEXT           only sides whose label holds the text
 *   node bench/pairs.mjs --base ../before --pairs N              how many pairs (20)
 *   node bench/pairs.mjs --settings tuned=observed               this tree against itself: what other settings cost
 *   node bench/pairs.mjs --scale N                               drains of N times as many jobs: longer cells differ less
 *   node bench/pairs.mjs --quick                                 this tree against itself, to see that it runs
 *
 * Each further figure of a scenario has a line of its own, such as the processor time of the server for a job. An
 * interval that contains 1 shows no difference; one that is wide shows nothing.
 */
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { readFlags } from "./measure/flags.mjs";
import { openPostgres } from "./measure/postgres.mjs";
import { median, medianInterval } from "./measure/statistics.mjs";
import { SETTINGS } from "./peers/howdah.mjs";
import { formatFigure } from "./report/format.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));

const OPTIONS = /** @type {const} */ ({
  base: { type: "string" },
  only: { type: "string", default: "drain-tuned,drain-default,latency,single-adds" },
  sides: { type: "string", default: "" },
  pairs: { type: "string", default: "20" },
  settings: { type: "string" },
  scale: { type: "string", default: "1" },
  quick: { type: "boolean", default: false },
});
const flags = readFlags(OPTIONS, ({ base, quick, settings }) => {
  if (base === undefined && settings === undefined && !quick) {
    throw new Error("Option '--base FOLDER' or '--settings FROM=TO' is required");
  }
  for (const name of settings?.split("=", 2) ?? []) {
    if (!(name in SETTINGS)) {
      throw new Error(`Howdah has no settings '${name}'; there are: ${Object.keys(SETTINGS).join(", ")}`);
    }
  }
});

const names = flags.only.split(",");
const pairs = flags.quick ? 2 : Number(flags.pairs);
const [fromSettings, toSettings] = flags.settings?.split("=", 2) ?? [];
const trees = { here: await scenariosOf(HERE), base: await scenariosOf(resolve(flags.base ?? HERE)) };
const postgres = await openPostgres();
const scale = Number(flags.scale);
const limitMs = flags.quick ? 1_000 : 30_000 * scale;
const run = { postgres, node: process.execPath, quick: flags.quick, scale, limitMs };
try {
  for (const name of names) {
    for (const variant of variantsOf(name)) await measurePairs(name, variant);
  }
} finally {
  await postgres.stop();
}

async function scenariosOf(tree) {
  const { SCENARIOS } = await import(pathToFileURL(resolve(tree, "bench/scenarios/scenarios.mjs")).href);
  return new Map(SCENARIOS.map((scenario) => [scenario.name, scenario]));
}

/** The sides of ours that both trees have. */
function variantsOf(name) {
  const scenario = trees.here.get(name);
  if (!scenario || !trees.base.has(name)) {
    throw new Error(`Unknown scenario ${name}; there are: ${[...trees.here.keys()].join(", ")}`);
  }
  const chosen = scenario.sides
    .filter(({ peer, variant = "" }) => peer === "howdah" && variant.includes(flags.sides))
    .filter(({ settings }) => fromSettings === undefined || settings === fromSettings)
    .map(({ variant }) => variant);
  const known = new Set(trees.base.get(name).sides.map(({ variant }) => variant));
  return (flags.quick ? chosen.slice(0, 1) : chosen).filter((variant) => known.has(variant));
}

async function measurePairs(name, variant) {
  const cells = { here: [], base: [] };
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const tree of pair % 2 === 0 ? ["here", "base"] : ["base", "here"]) {
      const scenario = trees[tree].get(name);
      const side = scenario.sides.find((candidate) => candidate.peer === "howdah" && candidate.variant === variant);
      cells[tree].push(
        await scenario.run(run, tree === "here" && toSettings ? { ...side, settings: toSettings } : side),
      );
    }
  }
  const { unit, columns = {} } = trees.here.get(name);
  const label = [name, variant].filter(Boolean).join(", ");
  for (const [key, heading] of [["value", unit], ...Object.entries(columns)])
    printRatio(cells, { label, key, heading });
}

/** Prints what one figure of all pairs says; nothing when one of the trees does not measure it. */
function printRatio(cells, { label, key, heading }) {
  const [here, base] = [cells.here, cells.base].map((list) => list.map((cell) => cell[key]));
  const ratios = here.map((value, pair) => value / base[pair]).filter(Number.isFinite);
  if (ratios.length === 0) return;
  const [from, to] = medianInterval(ratios).map((ratio) => ratio.toFixed(3));
  console.log(
    `${label}: here ${formatFigure(median(here))}, base ${formatFigure(median(base))} ${heading}; ` +
      `here / base ${median(ratios).toFixed(3)}, 95% interval ${from} to ${to} (${ratios.length} pairs)`,
  );
}
