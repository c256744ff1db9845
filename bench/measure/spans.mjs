/** The most jobs of one key that ran at the same moment, over all processes; a job that ends as another begins does not count. */
export function mostAtOnce(spans) {
  let most = 0;
  for (const list of byKey(spans)) {
    const changes = list.flatMap(({ from, to }) => [
      { at: from, by: 1 },
      { at: to, by: -1 },
    ]);
    let running = 0;
    for (const { by } of changes.toSorted((a, b) => a.at - b.at || a.by - b.by)) {
      running += by;
      most = Math.max(most, running);
    }
  }
  return most;
}

/**
 * By how many starts the busiest stretch of time went over what a bucket allows, which is `burst` and `perSecond` in
 * each second; negative when none did. Over all pairs of starts, by the walk of a bucket that is never refilled beyond
 * its size.
 */
export function mostOverRate(spans, { perSecond, burst }) {
  let worst = -burst;
  for (const list of byKey(spans)) {
    const starts = list.map(({ from }) => from).toSorted((a, b) => a - b);
    let level = 0;
    let before = starts[0];
    for (const at of starts) {
      level = Math.max(0, level - ((at - before) / 1_000) * perSecond) + 1;
      before = at;
      worst = Math.max(worst, level - burst);
    }
  }
  return worst;
}

function byKey(spans) {
  return Map.groupBy?.(spans, ({ q }) => q).values() ?? grouped(spans).values();
}

/** For Node.js 20. */
function grouped(spans) {
  const lists = new Map();
  for (const span of spans) lists.set(span.q, [...(lists.get(span.q) ?? []), span]);
  return lists;
}
