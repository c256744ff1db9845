/**
 * What metrics cost the tuned drain: one worker runs a backlog, and its metrics are switched on and off while it does,
 * every 25,000 jobs. Two neighbours of such a drain are a pair: they share the process, its compiled code, the table and
 * the speed that the machine has at the time, so that their ratio says more than that of two drains.
 *
 *   node bench/metrics.mjs                 20 drains of 400,000 jobs, four minutes
 *   node bench/metrics.mjs --drains N
 *   node bench/metrics.mjs --quick         one short drain, to see that it runs
 *
 * Processor time includes what the process does beside the jobs; the handler does nothing.
 */
import { parseArgs } from "node:util";
import { createWorker, defineTask, silentLogger } from "../dist/index.js";
import { prometheus } from "../dist/observe/prometheus.js";
import { openPostgres } from "./measure/postgres.mjs";
import { median, medianInterval } from "./measure/statistics.mjs";
import { open, SETTINGS } from "./peers/howdah.mjs";

const { values: flags } = parseArgs({
  options: { drains: { type: "string", default: "20" }, quick: { type: "boolean", default: false } },
});
const drains = flags.quick ? 1 : Number(flags.drains);
const stretch = flags.quick ? 1_000 : 25_000;
/** What comes first is left out: the process warms up. */
const WARM = 2;
const stretches = flags.quick ? 6 : 16;

const postgres = await openPostgres();
const pairs = [];
try {
  for (let drain = 0; drain < drains; drain += 1) pairs.push(...pairsOf(await measureDrain(drain % 2), drain % 2));
  for (const figure of ["workerUs", "serverUs", "bothUs"]) print(figure);
} finally {
  await postgres.stop();
}

/** The processor time of each stretch of one drain; with metrics in those of the same parity as `first`. */
async function measureDrain(first) {
  const database = await postgres.createDatabase();
  const { connectionString } = database;
  const peer = await open(connectionString);
  await peer.install();
  // The last stretch is not measured: its end is not that of its jobs.
  const total = stretch * (stretches + 1);
  for (let from = 0; from < total; from += 1_000) {
    await peer.addBulk(Array.from({ length: 1_000 }, (_, index) => ({ payload: { n: from + index } })));
  }
  await peer.close();
  await database.settle();
  const metered = switchable(prometheus());
  const marks = [];
  let ran = 0;
  const mark = () => {
    marks.push({ worker: cpuUs(), server: postgres.cpuUs?.() ?? 0 });
    metered.set(marks.length % 2 === first);
  };
  let done;
  const isDone = new Promise((resolve) => (done = resolve));
  const run = () => {
    if (ran % stretch === 0) mark();
    ran += 1;
    if (ran === total) done();
  };
  const worker = await createWorker({
    ...SETTINGS.tuned.options,
    connectionString,
    tasks: [defineTask({ identifier: "noop", run })],
    plugins: [metered],
    logger: silentLogger,
  });
  const running = worker.run();
  await isDone;
  await worker.stop();
  await running;
  await database.drop();
  return marks.slice(1).map(({ worker: until, server }, index) => ({
    workerUs: (until - marks[index].worker) / stretch,
    serverUs: (server - marks[index].server) / stretch,
    isMetered: (index + 1) % 2 === first,
  }));
}

/** Neighbours of one drain, as ratios of metered to not metered. */
function pairsOf(measured) {
  const found = [];
  for (let index = WARM; index + 1 < measured.length; index += 2) {
    const two = measured.slice(index, index + 2).map((one) => ({ ...one, bothUs: one.workerUs + one.serverUs }));
    const [on, off] = two[0].isMetered ? two : two.toReversed();
    found.push({ on, off });
  }
  return found;
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

function cpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function print(figure) {
  const ratios = pairs.map(({ on, off }) => on[figure] / off[figure]).filter(Number.isFinite);
  if (ratios.length === 0) return;
  const [from, to] = medianInterval(ratios).map((ratio) => ratio.toFixed(3));
  const [on, off] = ["on", "off"].map((side) => median(pairs.map((pair) => pair[side][figure])).toFixed(2));
  console.log(
    `${figure}: with metrics ${on}, without ${off} a job; ratio ${median(ratios).toFixed(3)}, ` +
      `95% interval ${from} to ${to} (${ratios.length} pairs)`,
  );
}
