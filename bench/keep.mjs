/**
 * What it costs to keep finished jobs, in the whole of the tuned drain: every other stretch of a backlog is of a task
 * that keeps what its jobs were, and its neighbour of one that keeps nothing (see `measure/stretches.mjs`).
 *
 *   node bench/keep.mjs                 narrow rows, and with payload and result; 8 drains of 425,000 jobs each
 *   node bench/keep.mjs --drains N
 *   node bench/keep.mjs --quick         one short drain of each, to see that it runs
 */
import { defineTask } from "../dist/index.js";
import { readFlags } from "./measure/flags.mjs";
import { openPostgres } from "./measure/postgres.mjs";
import { measureStretches, pairsOf, printPairs } from "./measure/stretches.mjs";

const flags = readFlags({ drains: { type: "string", default: "8" }, quick: { type: "boolean", default: false } });
const shape = flags.quick ? { size: 1_000, count: 6 } : { size: 25_000, count: 16 };

const KINDS = {
  "kept narrow": { for: "7d", payload: false, result: false },
  "kept with payload and result": { for: "7d", payload: true, result: true },
};

const postgres = await openPostgres();
try {
  for (const [heading, keep] of Object.entries(KINDS)) {
    const pairs = [];
    for (let drain = 0; drain < (flags.quick ? 1 : Number(flags.drains)); drain += 1) {
      const stretches = await measureStretches(postgres, {
        ...shape,
        isFirstChanged: drain % 2 === 0,
        tasksOf: (run) => [
          defineTask({ identifier: "plain", run }),
          defineTask({
            identifier: "keeping",
            keep,
            run: () => {
              run();
              return { isDone: true };
            },
          }),
        ],
        taskOf: (isChanged) => (isChanged ? "keeping" : "plain"),
      });
      pairs.push(...pairsOf(stretches));
    }
    printPairs(pairs, { changed: heading, plain: "nothing" });
  }
} finally {
  await postgres.stop();
}
