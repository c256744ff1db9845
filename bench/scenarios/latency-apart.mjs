import { callInChild, startChild } from "../measure/child.mjs";
import { monotonicMs, quantile } from "../measure/statistics.mjs";
import { openPeer } from "../peers/peers.mjs";

const SELF = new URL(import.meta.url);
const INSTALL = new URL("../peers/install.mjs", import.meta.url);

/** Runs in a child: a worker that says when it starts each job. */
export async function watchStarts({ peer: name, settings, connectionString }, channel) {
  const peer = await openPeer(name, connectionString);
  const worker = await peer.startWorker(settings, ({ n }) => channel.send({ n, startedAt: monotonicMs() }));
  channel.send({ isReady: true });
  while ((await channel.next()) !== "stop");
  await Promise.race([worker.stop(), sleep(5_000)]);
}

/** Runs in a child: adds one job for each message, and says when it began to. */
export async function addOnes({ peer: name, connectionString }, channel) {
  const peer = await openPeer(name, connectionString);
  channel.send({ isReady: true });
  for (;;) {
    const message = await channel.next();
    if (message === "stop") return;
    const addedAt = monotonicMs();
    await peer.addOne(message);
    channel.send({ ...message, addedAt });
  }
}

const OTHERS = [
  "graphile-worker 0.17, direct",
  "graphile-worker 0.17, local queue",
  "graphile-worker 0.18, direct",
  "graphile_worker_rs, direct",
  "graphile_worker_rs, local queue",
  "River, shortest cooldown",
  "pg-boss",
  "bullmq on PostgreSQL",
];

/** How soon a job starts on an idle worker that another process adds to. */
export const latencyApart = {
  name: "latency-apart",
  title: "From add in one process to start in another",
  unit: "ms (median)",
  isLessBetter: true,
  what: "300 jobs, one at a time, after 100 to warm up: from the call that adds a job, in one process, to the first line of its handler, in another.",
  fair: "Both processes read the same clock of the machine, before they send what they have read to the benchmark. Each side adds with its own function for one job, in its own language, and its worker is woken in its own way: by notification wherever it has one. River limits how often it notifies and fetches, to once in 100 ms by default and in 1 ms at least; both are shown. The bare statements are what no side can save.",
  columns: { p95: "p95, ms", p99: "p99, ms" },
  sides: [
    { peer: "howdah", settings: "default", variant: "direct" },
    { peer: "howdah", settings: "tuned", variant: "local queue" },
    { peer: "bare-statements", settings: "default" },
    { peer: "graphile-worker-0.17", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.17", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.18", settings: "default", variant: "direct" },
    { peer: "graphile-worker-rs", settings: "default", variant: "direct" },
    { peer: "graphile-worker-rs", settings: "tuned", variant: "local queue" },
    { peer: "river", settings: "latency", variant: "shortest cooldown" },
    { peer: "river", settings: "default" },
    { peer: "pg-boss", settings: "default" },
    { peer: "bullmq", settings: "default" },
  ],
  targets: ["howdah, direct", "howdah, local queue"].flatMap((of) => [
    { of, against: OTHERS, most: 0.7 },
    { of, against: OTHERS, measure: "p99", most: 0.8 },
    { of, against: "bare statements", most: 1.5 },
  ]),
  async run(run, { peer, settings }) {
    const database = await run.postgres.createDatabase();
    const input = { peer, settings, connectionString: database.connectionString };
    const pair = [];
    try {
      await callInChild({ node: run.node, module: INSTALL, call: "install", input });
      const times = createTimes();
      for (const call of ["watchStarts", "addOnes"]) {
        pair.push(startChild({ node: run.node, module: SELF, call, input, onMessage: times.note }));
      }
      const ended = Promise.race(pair.map(({ result }) => result)).then(() => {
        throw new Error("A measured process ended before it was told to.");
      });
      const measuring = measureStarts(run, times, pair[1]);
      return await Promise.race([measuring, ended]);
    } finally {
      for (const { kill } of pair) kill();
      await database.drop();
    }
  },
};

async function measureStarts({ quick, limitMs }, times, adder) {
  const [warmUp, samples] = quick ? [2, 8] : [100, 300];
  const endsAt = monotonicMs() + (quick ? 3_000 : limitMs);
  await times.untilReady(2);
  const measured = [];
  for (let n = 1; n <= warmUp + samples && monotonicMs() < endsAt; n += 1) {
    // Long enough for the worker to be idle again, and never in step with a timer of its.
    await sleep(10 + 10 * Math.random());
    adder.send({ n });
    const ms = await times.of(n);
    if (n > warmUp) measured.push(ms);
  }
  const isComplete = measured.length === samples;
  const [value, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantile(measured, q));
  return { value, p95, p99, isComplete, done: measured.length, total: samples, seconds: limitMs / 1_000 };
}

/** Puts together what the two processes say. */
function createTimes() {
  const seen = new Map();
  let ready = 0;
  let changed = () => {};

  async function until(condition) {
    while (!condition()) await new Promise((resolve) => (changed = resolve));
  }

  return {
    note({ isReady, n, ...moment }) {
      if (isReady) ready += 1;
      else seen.set(n, { ...seen.get(n), ...moment });
      changed();
    },
    untilReady: (count) => until(() => ready >= count),
    async of(n) {
      await until(() => seen.get(n)?.addedAt !== undefined && seen.get(n).startedAt !== undefined);
      const { addedAt, startedAt } = seen.get(n);
      seen.delete(n);
      return startedAt - addedAt;
    },
  };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
