import { createClient, createWorker, silentLogger } from "../../dist/index.js";
import { SETTINGS } from "../peers/howdah.mjs";
import { median, medianInterval } from "./statistics.mjs";

/** How many stretches of a drain are left out at its beginning: the process warms up. */
const WARM = 2;

/**
 * The processor time of stretches of a drain, of which every other one is `changed`. Neighbours share the process, its
 * compiled code, the table and the speed that the machine has at the time, so that their ratio says more than that of
 * two drains. One worker with the tuned settings runs them, in this process, which does nothing else. `tasksOf(run)`
 * makes the tasks, `taskOf(isChanged)` says which one the jobs of a stretch are of, and `enter(isChanged)` is called when
 * the first job of one begins.
 */
export async function measureStretches(postgres, options) {
  const database = await postgres.createDatabase();
  try {
    return await drain({ postgres, database }, options);
  } finally {
    await database.drop();
  }
}

async function drain(
  { postgres, database },
  { size, count, isFirstChanged, tasksOf, taskOf, enter = () => {}, plugins },
) {
  const { connectionString } = database;
  const isChanged = (index) => (index % 2 === 0) === isFirstChanged;
  const total = size * (count + 1);
  const marks = [];
  let ran = 0;
  let finish;
  const isDone = new Promise((resolve) => (finish = resolve));
  const tasks = tasksOf(() => {
    if (ran % size === 0) {
      enter(isChanged(marks.length));
      marks.push({ worker: cpuUs(), server: postgres.cpuUs?.() ?? Number.NaN });
    }
    ran += 1;
    if (ran === total) finish();
  });
  await fill(connectionString, { size, count: count + 1, taskOf: (index) => taskOf(isChanged(index)) });
  await database.settle();
  const worker = await createWorker({
    ...SETTINGS.tuned.options,
    connectionString,
    tasks,
    plugins,
    logger: silentLogger,
  });
  const running = worker.run();
  await isDone;
  await worker.stop();
  await running;
  // The last stretch is not measured: its end is not that of its jobs.
  return marks.slice(1).map(({ worker: until, server }, index) => {
    const workerUs = (until - marks[index].worker) / size;
    const serverUs = (server - marks[index].server) / size;
    return { workerUs, serverUs, bothUs: workerUs + serverUs, isChanged: isChanged(index) };
  });
}

async function fill(connectionString, { size, count, taskOf }) {
  const client = await createClient({ connectionString, logger: silentLogger });
  await client.migrate();
  const batch = Math.min(size, 1_000);
  for (let from = 0; from < size * count; from += batch) {
    const task = taskOf(Math.floor(from / size));
    const jobs = Array.from({ length: batch }, (_, index) => ({ task, payload: { n: from + index } }));
    await client.addJobs(jobs, { returning: "ids" });
  }
  await client.close();
}

/** Neighbours: one that is changed, and one that is not. */
export function pairsOf(stretches) {
  const pairs = [];
  for (let index = WARM; index + 1 < stretches.length; index += 2) {
    const two = stretches.slice(index, index + 2);
    const [changed, plain] = two[0].isChanged ? two : two.toReversed();
    pairs.push({ changed, plain });
  }
  return pairs;
}

/** Prints, for the worker, the server and both, what the pairs say. */
export function printPairs(pairs, { changed, plain }) {
  for (const [figure, heading] of [
    ["workerUs", "worker CPU"],
    ["serverUs", "server CPU"],
    ["bothUs", "both"],
  ]) {
    const ratios = pairs.map((pair) => pair.changed[figure] / pair.plain[figure]).filter(Number.isFinite);
    if (ratios.length === 0) continue;
    const [from, to] = medianInterval(ratios).map((ratio) => ratio.toFixed(3));
    const [a, b] = ["changed", "plain"].map((side) => median(pairs.map((pair) => pair[side][figure])).toFixed(2));
    console.log(
      `${heading}: ${changed} ${a}, ${plain} ${b} µs/job; ratio ${median(ratios).toFixed(3)}, ` +
        `95% interval ${from} to ${to} (${ratios.length} pairs)`,
    );
  }
}

function cpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}
