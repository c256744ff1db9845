import type { Run } from "../history.ts";
import type { Micros } from "../ledger.ts";
import { LANES, POOLED, RATED } from "../limited-queues.ts";
import type { Evidence, Rule } from "../verdict.ts";
import { byQueue, isHarmless, lastStartsOf } from "./queues-are-serial.ts";

/**
 * Of a queue with lanes, and of a pool, no more jobs run at once than it has
 * lanes, of those that were claimed since that number was set; and of a queue
 * with a rate no more start in any time than its bucket lets them. As for serial
 * queues there is one exception: a handler that outlived its claim does not
 * count, if something explains why its worker was presumed dead.
 */
export const limitsHold: Rule = (evidence) => {
  const findings: Findings = { violations: [], atLimit: 0 };
  const { runs } = evidence.history;
  const pooled: Run[] = [];
  for (const [queue, ofQueue] of byQueue(runs)) {
    if (queue.startsWith(LANES)) checkLanes(queue, ofQueue, { of: LANES, evidence, findings });
    if (queue.startsWith(POOLED)) pooled.push(...ofQueue);
    if (queue.startsWith(RATED)) checkRate(queue, ofQueue, { evidence, findings });
  }
  pooled.sort((a, b) => a.from - b.from);
  checkLanes("the pool", pooled, { of: POOLED, evidence, findings });
  const limited = runs.filter(({ q }) => q !== null && [LANES, POOLED, RATED].some((prefix) => q.startsWith(prefix)));
  return {
    violations: findings.violations,
    counts: { startsLimited: limited.length, startsAtLimit: findings.atLimit },
  };
};

interface Findings {
  readonly violations: string[];
  /** How often a job was the last one that could start. */
  atLimit: number;
}

interface Ground {
  readonly evidence: Evidence;
  readonly findings: Findings;
}

/** What holds between two changes, in microseconds of the ledgers. */
interface Period {
  readonly from: Micros;
  readonly until: Micros;
  readonly width: number;
}

function checkLanes(name: string, runs: readonly Run[], { of, evidence, findings }: Ground & { of: string }): void {
  const lastStart = lastStartsOf(evidence);
  for (const { from, until, width } of periodsOf(of, evidence)) {
    const claimedIn = runs.filter((run) => {
      const claimedAt = run.l * 1_000 - evidence.wallOffset;
      // The time of a claim is cut off at a millisecond.
      return claimedAt > from && claimedAt + 1_000 < until;
    });
    let open: Run[] = [];
    for (const run of claimedIn) {
      open = open.filter((other) => other.until > run.from);
      open.push(run);
      const counting = open.filter((other) => !isHarmless(other, run.from, { evidence, lastStart }));
      if (counting.length === width) findings.atLimit += 1;
      if (counting.length <= width) continue;
      const names = counting.map((other) => `${other.name} (${other.file} run ${other.n})`).join(", ");
      findings.violations.push(`${name}: ${counting.length} ran at once where ${width} may: ${names}`);
    }
  }
}

function periodsOf(of: string, { history }: Evidence): Period[] {
  const lines = history.limits.filter((line) => line.of === of);
  return lines.flatMap(({ t: from, width }, place) => {
    const until = lines[place + 1]?.t ?? Number.POSITIVE_INFINITY;
    return width === null ? [] : [{ from, until, width }];
  });
}

/** By the times of their claims, which is when tokens are taken; a claim that was made again counts again. */
function checkRate(name: string, runs: readonly Run[], { evidence, findings }: Ground): void {
  const { rate } = evidence;
  if (!rate) return;
  const starts = runs.map(({ l }) => l).sort((a, b) => a - b);
  for (const [first, from] of starts.entries()) {
    for (let last = first + rate.burst; last < starts.length; last += 1) {
      // Both times are cut off at a millisecond.
      const inMs = (starts[last] ?? 0) - from + 1;
      const allowed = rate.burst + (inMs * rate.limit) / 1_000;
      const count = last - first + 1;
      if (count <= allowed) continue;
      findings.violations.push(
        `${name}: ${count} jobs were claimed within ${inMs} ms, of which ${allowed.toFixed(2)} may`,
      );
      return;
    }
  }
}
