import type { CounterInstrument, HistogramInstrument, Instruments } from "./job-meter.ts";
import { METRIC_NAMES, metricOf, type MetricName, type NameOf } from "./metric-set.ts";

/**
 * Keeps counters and histograms in memory until they are asked for. Who
 * measures keeps the instrument, because some measurements are made for each job.
 */
export class Measurements implements Instruments {
  readonly #counters = new Map<MetricName, Family<CounterCell>>();
  readonly #histograms = new Map<MetricName, Family<HistogramCell>>();

  constructor() {
    for (const name of METRIC_NAMES) {
      const { type, buckets = [], labels } = metricOf(name);
      if (type === "counter") this.#counters.set(name, new Family(() => new CounterCell(), labels.length === 0));
      if (type === "histogram") {
        this.#histograms.set(name, new Family(() => new HistogramCell(buckets), labels.length === 0));
      }
    }
  }

  counter(name: NameOf<"counter">, first = "", second = ""): CounterInstrument {
    return familyOf(this.#counters, name).cell(first, second);
  }

  histogram(name: NameOf<"histogram">, first = "", second = ""): HistogramInstrument {
    return familyOf(this.#histograms, name).cell(first, second);
  }

  /** The values of a counter. */
  *counts(name: MetricName): Iterable<{ readonly labels: readonly string[]; readonly value: number }> {
    for (const { labels, cell } of this.#counters.get(name) ?? []) yield { labels, value: cell.count };
  }

  /** The values of a histogram; how many values there are up to each of its bounds. */
  *distributions(name: MetricName): Iterable<Distribution> {
    for (const { labels, cell } of this.#histograms.get(name) ?? []) yield { labels, ...cell.read() };
  }
}

/** What a histogram has seen. */
export interface Distribution {
  readonly labels: readonly string[];
  /** How many values are at most each bound, in the order of the bounds. */
  readonly atMost: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** The cells of one metric by their labels, of which there are two at most. */
class Family<Cell> implements Iterable<{ readonly labels: readonly string[]; readonly cell: Cell }> {
  readonly #cells = new Map<string, Map<string, Cell>>();
  readonly #create: () => Cell;

  constructor(create: () => Cell, hasNoLabels: boolean) {
    this.#create = create;
    // Without labels there is one value from the beginning.
    if (hasNoLabels) this.cell("", "");
  }

  cell(first: string, second: string): Cell {
    let row = this.#cells.get(first);
    if (!row) this.#cells.set(first, (row = new Map<string, Cell>()));
    let cell = row.get(second);
    if (cell === undefined) row.set(second, (cell = this.#create()));
    return cell;
  }

  *[Symbol.iterator](): Iterator<{ readonly labels: readonly string[]; readonly cell: Cell }> {
    for (const [first, row] of this.#cells) {
      for (const [second, cell] of row) yield { labels: [first, second], cell };
    }
  }
}

/** The constructor has made one for each metric. */
function familyOf<Cell>(families: ReadonlyMap<MetricName, Family<Cell>>, name: MetricName): Family<Cell> {
  const family = families.get(name);
  if (!family) throw new TypeError(`There is no metric ${name} of this type.`);
  return family;
}

class CounterCell implements CounterInstrument {
  count = 0;

  add(count: number): void {
    this.count += count;
  }
}

class HistogramCell implements HistogramInstrument {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = [...bounds.map(() => 0), 0];
  }

  record(value: number): void {
    if (!Number.isFinite(value)) return;
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) index += 1;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  read(): Omit<Distribution, "labels"> {
    let count = 0;
    const atMost = this.#bounds.map((_, index) => (count += this.#counts[index] ?? 0));
    return { atMost, sum: this.#sum, count: count + (this.#counts.at(-1) ?? 0) };
  }
}
