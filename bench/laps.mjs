/**
 * Measures the tuned drain of this tree beside that of another checkout, lap by lap: each has a process and a database
 * on one server, and while one runs 25,000 jobs the other waits. Neighbouring laps share the speed that the machine has
 * at the time, and both processes are warm, so that small differences show which pairs of whole drains hide.
 *
 *   git worktree add ../before HEAD~10 && (cd ../before && npm ci && npm run build)
 *   node bench/laps.mjs --base ../before                 16 rounds of 12 laps of each, some five minutes
 *   node bench/laps.mjs --base ../before --rounds N
 *   node bench/laps.mjs --base .                         this tree beside itself: how exact the measurement is
 *   node bench/laps.mjs --quick                          the same for a moment, to see that it runs
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { callInChild, startChild } from "./measure/child.mjs";
import { readFlags } from "./measure/flags.mjs";
import { openPostgres } from "./measure/postgres.mjs";
import { pairsOf, printPairs } from "./measure/stretches.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const WORKER = new URL("measure/lap-worker.mjs", import.meta.url);

const flags = readFlags(
  {
    base: { type: "string" },
    rounds: { type: "string", default: "16" },
    quick: { type: "boolean", default: false },
  },
  ({ base, quick }) => {
    if (base === undefined && !quick) throw new Error("Option '--base FOLDER' is required: a built checkout");
    if (base !== undefined && !existsSync(resolve(base, "dist/index.js"))) {
      throw new Error(`There is no built checkout in ${base}: dist/index.js is missing`);
    }
  },
);
const { size, laps } = flags.quick ? { size: 1_000, laps: 6 } : { size: 25_000, laps: 12 };
const rounds = flags.quick ? 1 : Number(flags.rounds);

const postgres = await openPostgres();
try {
  const pairs = [];
  for (let round = 0; round < rounds; round += 1) pairs.push(...(await measureRound(round)));
  printPairs(pairs, { changed: "here", plain: "base" });
} finally {
  await postgres.stop();
}

async function measureRound(round) {
  const trees = [];
  try {
    // The database that was filled last is the one that the server's memory has more of.
    for (const isChanged of round % 2 === 0 ? [true, false] : [false, true]) trees.push(await openTree(isChanged));
    const measured = [];
    for (let lap = 0; lap < laps; lap += 1) {
      // So that neither is always the first of two.
      const order = lap % 2 === 0 ? trees : trees.toReversed();
      for (const tree of order) measured.push(await runLap(tree));
    }
    for (const { child } of trees) child.send("stop");
    await Promise.all(trees.map(({ child }) => child.result));
    // The first lap of each is for its compiler and its plans, beside those that are always left out.
    return pairsOf(measured.slice(2));
  } finally {
    for (const { child, database } of trees) {
      child.kill();
      await database.drop();
    }
  }
}

/** A database with the schema of a tree and a backlog, and a process with a worker of that tree. */
async function openTree(isChanged) {
  const tree = isChanged ? HERE : resolve(flags.base ?? HERE);
  const moduleOf = (path) => pathToFileURL(resolve(tree, "bench", path)).href;
  const database = await postgres.createDatabase();
  try {
    await fill(database, moduleOf("measure/fill.mjs"));
    return { database, isChanged, ...(await startWorker(database, moduleOf("peers/howdah.mjs"))) };
  } catch (error) {
    await database.drop();
    throw error;
  }
}

async function fill(database, module) {
  const { connectionString } = database;
  // What a worker has fetched by the last lap is never run.
  const total = size * (laps + 1);
  await callInChild({
    node: process.execPath,
    module,
    call: "fill",
    input: { peer: "howdah", connectionString, total },
  });
  await database.settle();
}

async function startWorker({ connectionString }, module) {
  const messages = [];
  let wake = () => {};
  const child = startChild({
    node: process.execPath,
    module: WORKER,
    call: "work",
    input: { peer: "howdah", module, settings: "tuned", connectionString, size },
    onMessage(message) {
      messages.push(message);
      wake();
    },
  });
  const next = async () => {
    while (messages.length === 0) {
      await Promise.race([new Promise((resolve) => (wake = resolve)), child.result]);
    }
    return messages.shift();
  };
  await next();
  return { child, next };
}

async function runLap({ child, next, isChanged }) {
  const from = postgres.cpuUs() ?? Number.NaN;
  child.send("lap");
  const { cpuUs } = await next();
  const workerUs = cpuUs / size;
  const serverUs = ((postgres.cpuUs() ?? Number.NaN) - from) / size;
  return { workerUs, serverUs, bothUs: workerUs + serverUs, isChanged };
}
