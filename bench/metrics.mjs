/**
 * What metrics cost the tuned drain: a worker runs a backlog, and its metrics are switched on and off while it does,
 * every 25,000 jobs (see `measure/stretches.mjs`).
 *
 *   node bench/metrics.mjs                 20 drains of 425,000 jobs, some five minutes
 *   node bench/metrics.mjs --drains N
 *   node bench/metrics.mjs --quick         one short drain, to see that it runs
 */
import { defineTask } from "../dist/index.js";
import { prometheus } from "../dist/observe/prometheus.js";
import { readFlags } from "./measure/flags.mjs";
import { openPostgres } from "./measure/postgres.mjs";
import { measureStretches, pairsOf, printPairs } from "./measure/stretches.mjs";

const flags = readFlags({ drains: { type: "string", default: "20" }, quick: { type: "boolean", default: false } });
const shape = flags.quick ? { size: 1_000, count: 6 } : { size: 25_000, count: 16 };

const postgres = await openPostgres();
try {
  const pairs = [];
  for (let drain = 0; drain < (flags.quick ? 1 : Number(flags.drains)); drain += 1) {
    const metrics = switchable(prometheus());
    const stretches = await measureStretches(postgres, {
      ...shape,
      isFirstChanged: drain % 2 === 0,
      tasksOf: (run) => [defineTask({ identifier: "noop", run })],
      taskOf: () => "noop",
      enter: metrics.set,
      plugins: [metrics],
    });
    pairs.push(...pairsOf(stretches));
  }
  printPairs(pairs, { changed: "with metrics", plain: "without" });
} finally {
  await postgres.stop();
}

/** A plugin whose handlers are there only while it is switched on. */
function switchable(plugin) {
  let hooks;
  const registered = [];
  let removals = [];
  return {
    name: plugin.name,
    register(given) {
      hooks = given;
      const recorder = new Proxy(given, {
        get: (target, name) => (name === "on" ? (...call) => registered.push(call) : Reflect.get(target, name, target)),
      });
      plugin.register(recorder);
    },
    set(isOn) {
      for (const remove of removals) remove();
      removals = isOn ? registered.map((call) => hooks.on(...call)) : [];
    },
  };
}
