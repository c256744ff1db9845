import { median } from "../measure/statistics.mjs";

/** Turns the cells of a scenario into what is reported: medians over the repeats, and how each target came out. */
export function resultOf(scenario, cells) {
  const { name, title, unit, isLessBetter = false, what, fair, columns = {} } = scenario;
  const rows = cells.map((cell) => rowOf(cell, Object.keys(columns)));
  const targets = scenario.targets.map((target) => judge(target, cells, scenario)).filter(Boolean);
  return { name, title, unit, isLessBetter, what, fair, columns, rows, targets };
}

function rowOf({ label, peer, runs }, columns) {
  const error = runs.find((run) => run.error)?.error;
  if (error) return { label, peer, error };
  const values = runs.map(({ value }) => value);
  const cut = runs.find(({ isComplete }) => isComplete === false);
  return {
    label,
    peer,
    value: median(values),
    least: Math.min(...values),
    most: Math.max(...values),
    runs: runs.length,
    figures: Object.fromEntries(columns.map((key) => [key, middleOf(runs, key)])),
    cut: cut && { done: cut.done, total: cut.total, seconds: cut.seconds },
    note: runs.find(({ note }) => note)?.note,
  };
}

function middleOf(runs, key) {
  const values = runs.map((run) => run[key]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : median(values);
}

/** `undefined` when a side was not measured. A ratio is taken in each repeat, and the median of the ratios counts. */
function judge({ of, against, measure = "value", least, most }, cells, { unit, columns }) {
  const own = runsOf(cells, of);
  const rivals =
    against === undefined ? undefined : bestFirst(cells, [against].flat(), { measure, isMost: most !== undefined });
  if (own.length === 0 || rivals?.length === 0) return undefined;
  const other = rivals && runsOf(cells, rivals[0]);
  const measured = median(other ? ratios(own, other, measure) : own.map((run) => run[measure]));
  if (!Number.isFinite(measured)) return undefined;
  return {
    of,
    against: rivals?.[0],
    among: Array.isArray(against) ? rivals.length : undefined,
    figure: measure === "value" ? unit : columns[measure],
    least,
    most,
    measured,
    isReached: least === undefined ? measured <= most : measured >= least,
  };
}

/** Those of the labels that were measured, the best median first: the lowest where `isMost`, else the highest. */
function bestFirst(cells, labels, { measure, isMost }) {
  const middle = (label) => median(runsOf(cells, label).map((run) => run[measure]));
  const measured = labels.filter((label) => Number.isFinite(middle(label)));
  return measured.toSorted((a, b) => (isMost ? middle(a) - middle(b) : middle(b) - middle(a)));
}

function runsOf(cells, label) {
  const runs = cells.find((cell) => cell.label === label)?.runs ?? [];
  return runs.filter(({ error }) => !error);
}

/** Pairs measured in the same repeat; a side that was measured once, because it was cut off, stands for all repeats. */
function ratios(own, other, measure) {
  const length = Math.max(own.length, other.length);
  const pairs = Array.from({ length }, (_, repeat) => [at(own, repeat), at(other, repeat)]);
  return pairs.map(([a, b]) => a[measure] / b[measure]);
}

function at(runs, repeat) {
  return runs.find((run) => run.repeat === repeat) ?? runs[0];
}
