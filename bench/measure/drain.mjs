import { callInChild, startChild } from "./child.mjs";
import { monotonicMs } from "./statistics.mjs";

const WORKER = new URL("drain-worker.mjs", import.meta.url);
const FILL = new URL("fill.mjs", import.meta.url);

/** How often the table is looked at once every handler was called, and the processes in between. */
const LOOK_MS = 5;

/**
 * Fills a fresh database and drains it: `drainFilled` after `fill`, with `prepare` (if any) in between.
 * What `fill`, `prepare` and the start of the processes take is not measured.
 */
export async function fillAndDrain(run, side, { total, queues = 0, prepare, ...options }) {
  const database = await run.postgres.createDatabase();
  try {
    const { connectionString } = database;
    await callInChild({
      node: run.node,
      module: FILL,
      call: "fill",
      input: { peer: side.peer, connectionString, total, queues },
    });
    await prepare?.(database);
    return await drainFilled(run, side, { database, total, ...options });
  } finally {
    await database.drop();
  }
}

/**
 * Lets `processes` worker processes of a side run the jobs of a database. The time goes from the first call of a
 * handler, in whichever process, to the moment when no job is left in the table; or to the limit, when it comes first.
 * With `warmUp` it goes from the moment when each process has run that number of jobs, which leaves out what a process costs
 * to start, and the jobs that were run by then (as told within the last 10 ms) do not count.
 */
export async function drainFilled(
  run,
  side,
  { database, total, processes = 1, warmUp = 0, watchQueues = false, marks = [] },
) {
  await database.settle();
  const workers = Array.from({ length: processes }, () => {
    const worker = { state: { ran: 0 } };
    worker.child = startChild({
      node: run.node,
      nodeFlags: side.nodeFlags,
      module: WORKER,
      call: "work",
      input: {
        peer: side.peer,
        settings: side.settings,
        connectionString: database.connectionString,
        watchQueues,
        marks,
      },
      onMessage: (state) => (worker.state = state),
    });
    return worker;
  });
  try {
    await untilAll(workers, ({ state }) => state.isReady);
    for (const { child } of workers) child.send("start");
    const line = { from: warmUp, at: undefined, ran: 0 };
    const endedAt = await untilDrained(workers, { total, line, limitMs: run.limitMs });
    for (const { child } of workers) child.send("stop");
    const reports = await Promise.all(workers.map(({ child }) => child.result));
    return summary(reports, workers, { total, line, endedAt });
  } finally {
    for (const { child } of workers) child.kill();
  }
}

/** Resolves with the time at which nothing was left, or `undefined` when the limit came first. */
async function untilDrained(workers, { total, line, limitMs }) {
  const startedAt = monotonicMs();
  for (;;) {
    await Promise.race([sleep(LOOK_MS), ...workers.map(({ child }) => child.result.then(unexpected))]);
    const states = workers.map(({ state }) => state);
    const ran = sum(states.map((state) => state.ran));
    if (line.at === undefined && line.from > 0 && states.every((state) => state.ran >= line.from)) {
      Object.assign(line, { at: Math.max(...states.map(({ at }) => at)), ran });
    }
    if (ran >= total) break;
    if (monotonicMs() - startedAt > limitMs) return undefined;
  }
  workers[0].child.send({ untilReleased: total });
  await untilAll(workers.slice(0, 1), ({ state }) => state.releasedAt !== undefined);
  return workers[0].state.releasedAt;
}

function summary(reports, workers, { total, line, endedAt }) {
  const from = line.at ?? Math.min(...reports.map((report) => report.firstAt ?? Number.POSITIVE_INFINITY));
  const states = workers.map(({ state }) => state);
  const isComplete = endedAt !== undefined;
  const done = sum((isComplete ? reports : states).map(({ ran }) => ran));
  const until = isComplete ? endedAt : Math.max(...states.map(({ at }) => at));
  const seconds = done === 0 ? 0 : (until - from) / 1000;
  return {
    value: done === 0 ? 0 : (done - line.ran) / seconds,
    done,
    total,
    seconds,
    isComplete,
    cpuUs: done === 0 ? undefined : sum(reports.map(({ cpuUs }) => cpuUs)) / done,
    maxRssMb: Math.max(...reports.map(({ maxRssMb }) => maxRssMb)),
    marks: reports[0].marks,
    mostAtOnce: reports[0].mostAtOnce,
    note: noteOn({ done, total, line }),
  };
}

function noteOn({ done, total, line }) {
  // A drain that ran more than there was has run something twice.
  if (done > total) return `${done - total} jobs ran twice`;
  return line.from > 0 && line.at === undefined
    ? `not every process ran ${line.from} jobs; starting included`
    : undefined;
}

async function untilAll(workers, condition) {
  while (!workers.every(condition)) {
    await Promise.race([sleep(LOOK_MS), ...workers.map(({ child }) => child.result.then(unexpected))]);
  }
}

function unexpected() {
  throw new Error("A worker process ended before it was told to.");
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
