/** The value below which the share `q` of the values lies; `NaN` without values. */
export function quantile(values, q) {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const place = (sorted.length - 1) * q;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** The middle of the values. */
export function median(values) {
  return quantile(values, 0.5);
}

/** Milliseconds that all processes of this machine read alike. */
export function monotonicMs() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
