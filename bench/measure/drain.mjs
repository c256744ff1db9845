import { leftSqlOf } from "../peers/peers.mjs";
import { callInChild, startChild } from "./child.mjs";
import { monotonicMs } from "./statistics.mjs";

const WORKER = new URL("drain-worker.mjs", import.meta.url);
const FILL = new URL("fill.mjs", import.meta.url);

/** How often the table is looked at once every handler was called, and the processes in between. */
const LOOK_MS = 5;
/** How long a side has at least to release what it has run. */
const RELEASE_LIMIT_MS = 10_000;

/**
 * Fills a fresh database with a load (see `jobAt`) and drains it: `drainFilled` after `fill`, with `prepare` (if any)
 * in between. What `fill`, `prepare` and the start of the processes take is not measured. `beside` opens something that
 * goes on during the drain; what its `stop` resolves with are further figures of the cell.
 */
export async function fillAndDrain(run, side, { total, load, prepare, beside, ...options }) {
  const database = await run.postgres.createDatabase();
  let other;
  try {
    const { connectionString } = database;
    await callInChild({
      node: run.node,
      module: FILL,
      call: "fill",
      input: { peer: side.peer, connectionString, total, load },
    });
    await prepare?.(database);
    if (!beside) return await drainFilled(run, side, { database, total, ...options });
    other = await beside(database);
    const cell = await drainFilled(run, side, { database, total, ...options });
    return { ...cell, ...(await other.stop()) };
  } finally {
    other?.kill();
    await database.drop();
  }
}

/**
 * Lets `processes` worker processes of a side run the jobs of a database. The time goes from the first call of a
 * handler, in whichever process, to the moment when no job is left in the table; or to the limit, when it comes first.
 * With `warmUp` it goes from the moment when each process has run that number of jobs, which leaves out what a process costs
 * to start, and the jobs that were run by then (as told within the last 10 ms) do not count. `beforeStart` is awaited
 * when the processes are ready. At the end the table is looked at once more, over another connection: that every handler
 * was called is no proof that the side has done with the jobs.
 */
export async function drainFilled(
  run,
  side,
  { database, total, processes = 1, warmUp = 0, handler = "count", marks = [], beforeStart },
) {
  await database.settle();
  const leftSql = leftSqlOf(side.peer, total);
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
        leftSql,
        handler,
        marks,
      },
      onMessage: (state) => (worker.state = state),
    });
    return worker;
  });
  try {
    await untilAll(workers, ({ state }) => state.isReady);
    const base = monotonicMs();
    await beforeStart?.(database);
    for (const { child } of workers) child.send({ base });
    const line = { from: warmUp, at: undefined, ran: 0 };
    const server = createStopwatch(run.postgres.cpuUs);
    const endedAt = await untilDrained(workers, { total, line, limitMs: run.limitMs, onFirst: server.start });
    const serverUs = server.read();
    for (const { child } of workers) child.send("stop");
    const reports = await Promise.all(workers.map(({ child }) => child.result));
    if (endedAt !== undefined && leftSql) await checkEmpty(database, leftSql);
    return summary(reports, workers, { total, line, endedAt, serverUs });
  } finally {
    for (const { child } of workers) child.kill();
  }
}

/** Resolves with the time at which nothing was left, or `undefined` when the limit came first. */
async function untilDrained(workers, { total, line, limitMs, onFirst }) {
  const startedAt = monotonicMs();
  for (;;) {
    await Promise.race([sleep(LOOK_MS), ...workers.map(({ child }) => child.result.then(unexpected))]);
    const states = workers.map(({ state }) => state);
    const ran = sum(states.map((state) => state.ran));
    if (ran > 0) onFirst();
    if (line.at === undefined && line.from > 0 && states.every((state) => state.ran >= line.from)) {
      Object.assign(line, { at: Math.max(...states.map(({ at }) => at)), ran });
    }
    if (ran >= total) break;
    if (monotonicMs() - startedAt > limitMs) return undefined;
  }
  const [worker] = workers;
  worker.child.send("untilReleased");
  const endsAt = Math.max(startedAt + limitMs, monotonicMs() + RELEASE_LIMIT_MS);
  await untilAll([worker], ({ state }) => {
    if (monotonicMs() > endsAt) throw new Error("Every handler was called, but jobs are left in the table.");
    return state.releasedAt !== undefined;
  });
  return worker.state.releasedAt;
}

/** Measures what a counter gains from the first call of `start` on; without a counter it reads `undefined`. */
function createStopwatch(count = () => undefined) {
  let from;
  return {
    start: () => (from ??= count()),
    read: () => (from === undefined ? undefined : count() - from),
  };
}

async function checkEmpty(database, leftSql) {
  const [{ count }] = await database.sql(leftSql);
  if (count > 0) throw new Error(`${count} jobs are left in the table of a side that said it was done.`);
}

function summary(reports, workers, { total, line, endedAt, serverUs }) {
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
    ...cpuOf({ workerUs: sum(reports.map(({ cpuUs }) => cpuUs)), serverUs, done }),
    maxRssMb: Math.max(...reports.map(({ maxRssMb }) => maxRssMb)),
    marks: reports[0].marks,
    mostAtOnce: Math.max(...reports.map(({ mostAtOnce }) => mostAtOnce)),
    failed: sum(reports.map(({ failed }) => failed)),
    lags: reports.flatMap(({ lags }) => lags),
    spans: reports.flatMap(({ spans }) => spans),
    note: noteOn({ done, total, line }),
  };
}

/** Processor time in seconds, and in microseconds a job. */
function cpuOf({ workerUs, serverUs, done }) {
  if (done === 0) return {};
  const inAll = { workerSeconds: workerUs / 1e6, serverSeconds: serverUs && serverUs / 1e6 };
  if (serverUs === undefined) return { ...inAll, cpuUs: workerUs / done };
  return { ...inAll, cpuUs: workerUs / done, serverUs: serverUs / done, bothUs: (workerUs + serverUs) / done };
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
