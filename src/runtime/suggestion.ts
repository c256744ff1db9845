/**
 * The candidate that a mistyped `name` was most likely meant to be, or
 * `undefined` when none is near. Upper and lower case, `_` and `-` do not count.
 */
export function suggestName(name: string, candidates: Iterable<string>): string | undefined {
  const typed = plain(name);
  let best: string | undefined;
  let bestDistance = Math.floor(typed.length * 0.4) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(typed, plain(candidate), bestDistance);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/**
 * The end of a message about an unknown name: `, did you mean …?`, or what
 * there is. `prefix` stands before every name that is shown.
 */
export function didYouMean(name: string, candidates: readonly string[], prefix = ""): string {
  const suggestion = suggestName(name, candidates);
  if (suggestion !== undefined) return `, did you mean \`${prefix}${suggestion}\`?`;
  if (candidates.length === 0) return ".";
  const known = candidates.slice(0, 30).map((candidate) => `\`${prefix}${candidate}\``);
  return `. Known: ${known.join(", ")}${candidates.length > known.length ? ", ..." : ""}.`;
}

function plain(name: string): string {
  // What is longer than any name here is not near one either, and would only cost time.
  return name.slice(0, 130).replace(/[_-]/g, "").toLowerCase();
}

/**
 * How many letters have to be inserted, removed, replaced or swapped with
 * their neighbour to make `b` of `a`; at least `limit` when it is not less.
 * A swap counts as one step because it is the commonest slip of all.
 */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let steps = Math.min(at(last, column - 1) + (same ? 0 : 1), at(last, column) + 1, at(next, column - 1) + 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) steps = Math.min(steps, at(before, column - 2) + 1);
      next.push(steps);
    }
    before = last;
    last = next;
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
