import { formatFigure } from "./format.mjs";
import { table } from "./table.mjs";

/** The questions of a newcomer, in the order of the overview. */
const PICKED = ["drain-tuned", "many-queues", "latency-apart"];

/** Those, and where the others are better more often. */
const COMPARED = ["drain-tuned", "serial-queue", "many-queues", "latency-apart", "bulk-add", "idle", "memory"];

/** By what the names of their releases begin with. */
const SIDES = {
  howdah: "Howdah",
  "graphile-worker-0": "graphile-worker",
  "graphile-worker-rs": "graphile_worker_rs",
  river: "River",
  "pg-boss": "pg-boss",
  bullmq: "BullMQ on PostgreSQL",
};

/** A few results for one picture: all usable queues, with the settings that their documentation names. */
export function picked({ results }) {
  return PICKED.flatMap((name) => results.find((result) => result.name === name) ?? []).map((result) => ({
    ...result,
    rows: result.rows.filter(
      ({ peer, label, value }) => isQueue(peer) && Number.isFinite(value) && !label.includes("large batches"),
    ),
  }));
}

/** Two figures and where they come from. */
export function toCaption(report) {
  const results = picked(report);
  const [newest] = results.toSorted((a, b) => b.conditions.at.localeCompare(a.conditions.at));
  if (newest === undefined) return "No results are stored yet: `npm run bench` writes them.";
  const { machine, server } = newest.conditions;
  const [tuned, latency] = ["drain-tuned", "latency-apart"].map((name) => ownAndBest(results, name));
  return (
    (tuned
      ? `**${tuned.own} jobs a second** in one process with tuned settings; the best of the others: ${tuned.best}. `
      : "") +
    (latency
      ? `An idle worker starts a job ${latency.own} ms after another process added it; the best of the others: ${latency.best}. `
      : "") +
    `Measured on ${daysOf(results)}, on ${machine.cores} cores, with PostgreSQL ${server.version.split(" ")[0]} that ` +
    "waits for its disk at each commit, one process a side. [How, and all figures](docs/benchmarks.md), also the " +
    "targets that Howdah missed."
  );
}

/** The day of the oldest and of the newest result, where these are two. */
function daysOf(results) {
  const days = results.map(({ conditions }) => conditions.at.slice(0, 10)).sort();
  return [...new Set([days.at(0), days.at(-1)])].join(" to ");
}

/** Howdah's figure with the settings that come first, and the best of the others with any. */
function ownAndBest(results, name) {
  const result = results.find((one) => one.name === name);
  if (result === undefined) return undefined;
  const isOwn = ({ peer }) => peer === "howdah";
  const others = result.rows.filter((row) => !isOwn(row) && Number.isFinite(row.value)).map(({ value }) => value);
  return { own: formatFigure(result.rows.find(isOwn)?.value), best: formatFigure(pick(result, others)) };
}

/** A row for each compared scenario: the best figure of each side, the best of all in bold. */
export function toPeers({ results }) {
  const compared = COMPARED.flatMap((name) => results.find((result) => result.name === name) ?? []);
  // A run may leave out those in other languages.
  const sides = Object.keys(SIDES).filter((side) => compared.some((result) => bestOf(result, side) !== undefined));
  const rows = compared.map((result) => {
    const bests = sides.map((side) => bestOf(result, side));
    const best = pick(result, bests);
    return [
      `${result.title}: ${result.unit}${result.isLessBetter ? ", less is better" : ""}`,
      ...bests.map((value) =>
        value === best && value !== undefined ? `**${formatFigure(value)}**` : formatFigure(value),
      ),
    ];
  });
  return table(["", ...sides.map((side) => SIDES[side])], rows);
}

/** A page with a text between two marks, `<!-- name: … -->` and `<!-- /name -->`. */
export function withBlock(page, name, text) {
  const begin = `<!-- ${name}: written by bench/report.mjs -->`;
  const [from, to] = [page.indexOf(begin), page.indexOf(`<!-- /${name} -->`)];
  if (from < 0 || to < from) throw new Error(`The page has no ${begin} … <!-- /${name} -->.`);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}

function bestOf(result, side) {
  const own = result.rows.filter(({ peer, value }) => peer.startsWith(side) && Number.isFinite(value));
  return pick(
    result,
    own.map(({ value }) => value),
  );
}

function pick({ isLessBetter }, values) {
  const finite = values.filter((value) => value !== undefined);
  if (finite.length === 0) return undefined;
  return isLessBetter ? Math.min(...finite) : Math.max(...finite);
}

function isQueue(peer) {
  return Object.keys(SIDES).some((side) => peer.startsWith(side));
}
