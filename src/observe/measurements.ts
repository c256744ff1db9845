import type { Instruments } from "./job-meter.ts";
import { METRIC_NAMES, metricOf, type MetricName, type NameOf } from "./metric-set.ts";

/**
 * Keeps counters and histograms in memory until they are asked for. A
 * measurement costs a few look-ups, because some are made for each job.
 */
export class Measurements implements Instruments {
  readonly #counters = new Map<MetricName, Family<{ count: number }>>();
  readonly #histograms = new Map<MetricName, Family<HistogramCell>>();

  constructor() {
    for (const name of METRIC_NAMES) {
      const { type, buckets = [], labels } = metricOf(name);
      if (type === "counter") this.#counters.set(name, new Family(() => ({ count: 0 }), labels.length === 0));
      if (type === "histogram") {
        this.#histograms.set(name, new Family(() => new HistogramCell(buckets), labels.length === 0));
      }
    }
  }

  add(name: NameOf<"counter">, count: number, labels: readonly string[] = []): void {
    const cell = this.#counters.get(name)?.cell(labels);
    if (cell) cell.count += count;
  }

  record(name: NameOf<"histogram">, value: number, labels: readonly string[] = []): void {
    this.#histograms.get(name)?.cell(labels).record(value);
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
    if (hasNoLabels) this.cell([]);
  }

  cell([first = "", second = ""]: readonly string[]): Cell {
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

class HistogramCell {
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
