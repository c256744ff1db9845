import type { History, Run } from "../history.ts";
import type { Rule } from "../verdict.ts";

/**
 * No two handlers of a queue run at once. The one exception: a worker was
 * presumed dead, because it stood still, or its handler ignored being told to
 * stop; then what it does afterwards is refused. Inside one process there is no
 * exception.
 */
export const queuesAreSerial: Rule = ({ history }) => {
  const violations: string[] = [];
  let fenced = 0;
  const lastStart = new Map(history.runs.map((run) => [run.id, run]));
  for (const [queue, runs] of byQueue(history.runs)) {
    let open: Run[] = [];
    for (const run of runs) {
      open = open.filter(({ until }) => until > run.from);
      for (const older of open) {
        const fault = judge(older, run, { history, wasRepeated: lastStart.get(older.id) !== older });
        if (fault === undefined) fenced += 1;
        else violations.push(`${queue}: ${describe(older)} and ${describe(run)}: ${fault}`);
      }
      open.push(run);
    }
  }
  return { violations, counts: { overlapsFenced: fenced } };
};

interface Circumstances {
  readonly history: History;
  /** The job of the older one was given to another worker and started there. */
  readonly wasRepeated: boolean;
}

/** What is wrong with an overlap; `undefined` when it is one of those that may be. */
function judge(older: Run, newer: Run, { history, wasRepeated }: Circumstances): string | undefined {
  if (older.file === newer.file) return "in one process";
  // Who completes a job whose row is gone is told that it is done, and here another one did it.
  const isFenced = older.told === undefined || older.told.how === "refused" || wasRepeated;
  if (!isFenced) return `the older one was still ${older.told?.how}`;
  const stoodStill = (history.standstills.get(older.file) ?? []).some(
    ({ from, until }) => from < newer.from && until > older.from,
  );
  if (stoodStill) return undefined;
  const wasTold = older.aborted !== undefined && older.aborted.at < newer.from;
  return older.stubborn && wasTold ? undefined : "nothing explains why its worker was presumed dead";
}

/** The runs of each queue, in the order of their starts. */
export function byQueue(runs: readonly Run[]): ReadonlyMap<string, readonly Run[]> {
  const queues = new Map<string, Run[]>();
  for (const run of runs) {
    if (run.q === null) continue;
    const queue = queues.get(run.q);
    if (queue) queue.push(run);
    else queues.set(run.q, [run]);
  }
  return queues;
}

function describe({ name, id, file, n, from, until, how }: Run): string {
  return `${name} (${id}, ${file} run ${n}, ${from} to ${until}, ${how})`;
}
