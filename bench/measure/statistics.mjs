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

/**
 * An interval that holds the true median with 95% probability, whatever the distribution: two of the values, picked by
 * their rank. Of fewer than six values it is all of their range, which holds it less often.
 */
export function medianInterval(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  // P(fewer than `rank` values lie below the median) is a binomial tail; it must not be above 2.5% on either side.
  let tail = 2 ** -count;
  let term = tail;
  let rank = 0;
  for (let below = 1; tail <= 0.025 && below < count; below += 1) {
    rank = below;
    term *= (count - below + 1) / below;
    tail += term;
  }
  const low = Math.max(rank - 1, 0);
  return [sorted[low], sorted[count - 1 - low]];
}
