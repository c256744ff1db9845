import { fillAndDrain } from "../measure/drain.mjs";
import { failingJobs, makeDueSql, MIXED_QUEUES } from "../measure/jobs.mjs";
import { quantile } from "../measure/statistics.mjs";
import { jobsTableOf } from "../peers/peers.mjs";

/** What applications do: handlers that wait, queues, priorities, retries, jobs that are due later. */
export const mixedLoad = {
  name: "mixed-load",
  title: "A mixed load",
  unit: "s until all are done",
  isLessBetter: true,
  what: `60,000 jobs, one worker process with 200 slots. Handlers wait for 2 to 10 ms; three of ten jobs are in ${MIXED_QUEUES} serial queues, one of ten becomes due in the first 2 s of the drain, one of fifty fails at its first attempt, and there are five priorities. From the first call of a handler until no job is left.`,
  fair: "The same jobs for everyone. Howdah, graphile-worker and graphile_worker_rs put off a first failure by 2.7 s; the jobs that fail are among the first that run, so that their second attempt is due while others still run. A side that runs more than one job of a queue at once has not kept it serial and is not comparable. Each job that is due later notes how late it starts, behind the backlog of its priority. Every failure is counted, and the table has to be empty at the end.",
  columns: {
    workerSeconds: "worker CPU, s",
    serverSeconds: "server CPU, s",
    mostAtOnce: "most at once in a queue",
    startP50: "start after due, p50, ms",
    startP99: "p99, ms",
    maxRssMb: "memory of the worker, MB at most",
  },
  sides: [
    { peer: "howdah", settings: "mixed", variant: "local queue" },
    { peer: "howdah", settings: "mixed-direct", variant: "direct" },
    { peer: "graphile-worker-0.17", settings: "mixed", variant: "local queue" },
    { peer: "graphile-worker-0.18", settings: "mixed", variant: "local queue" },
    { peer: "graphile-worker-rs", settings: "mixed", variant: "local queue" },
  ],
  targets: [
    { of: "howdah, local queue", against: "graphile_worker_rs, local queue", most: 0.5 },
    { of: "howdah, local queue", against: "graphile_worker_rs, local queue", measure: "serverSeconds", most: 0.5 },
    { of: "howdah, local queue", measure: "mostAtOnce", most: 1 },
    { of: "howdah, direct", measure: "mostAtOnce", most: 1 },
  ],
  async run(run, side) {
    const total = run.quick ? 500 : 60_000;
    const beforeStart = (database) => database.sql(makeDueSql(jobsTableOf(side.peer)));
    // A failed job takes some seconds until it runs again, also in a small load.
    const limitMs = Math.max(run.limitMs, 5_000);
    const load = { isMixed: true };
    const cell = await fillAndDrain({ ...run, limitMs }, side, { total, load, handler: "mixed", beforeStart });
    if (cell.isComplete && cell.failed !== failingJobs(total)) {
      throw new Error(`${cell.failed} jobs failed once, of ${failingJobs(total)} that had to.`);
    }
    const { seconds, lags, ...others } = cell;
    return { ...others, seconds, value: seconds, startP50: quantile(lags, 0.5), startP99: quantile(lags, 0.99) };
  },
};
