import type { SampleView } from "../../../../src/admin/contract/overview-views.ts";

/** A part of the past that the chart shows. */
export interface Range {
  readonly name: "1h" | "6h" | "24h" | "7d";
  readonly resolution: "10s" | "1m" | "10m";
  /** How many samples that is. */
  readonly limit: number;
}

/** What a reader can choose from. */
export const RANGES: readonly [Range, ...Range[]] = [
  { name: "1h", resolution: "10s", limit: 360 },
  { name: "6h", resolution: "1m", limit: 360 },
  { name: "24h", resolution: "1m", limit: 1_440 },
  { name: "7d", resolution: "10m", limit: 1_008 },
];

const SECONDS: Readonly<Record<Range["resolution"], number>> = { "10s": 10, "1m": 60, "10m": 600 };

/** How long a range is. */
export function spanSeconds({ resolution, limit }: Range): number {
  return SECONDS[resolution] * limit;
}

/** Adds newer samples to those that are known: each time once, the newest `limit` of them. */
export function mergeSamples(
  known: readonly SampleView[],
  newer: readonly SampleView[],
  limit: number,
): readonly SampleView[] {
  const [first] = newer;
  if (!first) return known;
  return [...known.filter(({ at }) => at < first.at), ...newer].slice(-limit);
}

/** What the chart draws in layers, from the ground up. */
export const LAYERS = ["ready", "scheduled", "failed"] as const;

/** One of them. */
export type Layer = (typeof LAYERS)[number];

/** Columns for the chart: seconds, and the top of each layer on those below it. Hidden layers take no room. */
export function stacked(samples: readonly SampleView[], hidden: ReadonlySet<Layer>): [number[], ...number[][]] {
  const seconds = samples.map(({ at }) => Date.parse(at) / 1_000);
  let below = samples.map(() => 0);
  const tops = LAYERS.map((layer) => {
    below = samples.map((sample, index) => (below[index] ?? 0) + (hidden.has(layer) ? 0 : sample[layer]));
    return below;
  });
  return [seconds, ...tops];
}

/** The sample of a moment: the last one that had begun then; undefined before the first. */
export function sampleAt(samples: readonly SampleView[], at: string): SampleView | undefined {
  return samples.findLast((sample) => sample.at <= at);
}

/** The moment one sample before or after; the newest one is no moment but now, which is undefined. */
export function moveCursor(samples: readonly SampleView[], cursor: string | undefined, by: 1 | -1): string | undefined {
  const last = samples.length - 1;
  const found = cursor === undefined ? last : samples.findLastIndex((sample) => sample.at <= cursor);
  const next = Math.max(0, found + by);
  return next >= last ? undefined : samples[next]?.at;
}

/** How the due jobs of each group have changed since another moment. */
export function changesOf(
  now: readonly { readonly name: string; readonly jobCount: number }[],
  then: readonly { readonly name: string; readonly jobCount: number }[],
): ReadonlyMap<string, number> {
  const before = new Map(then.map(({ name, jobCount }) => [name, jobCount]));
  const after = new Map(now.map(({ name, jobCount }) => [name, jobCount]));
  const names = new Set([...before.keys(), ...after.keys()]);
  return new Map([...names].map((name) => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)]));
}
