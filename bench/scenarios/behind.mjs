import { fillAndDrain } from "../measure/drain.mjs";
import { addLoad, LOADS } from "../peers/loads.mjs";

const SCHEMAS = { howdah: "howdah", "graphile-worker-0.17": "graphile_worker" };
const NOTHING = "nothing else";

function sidesFor(peer, settings, loads) {
  return [undefined, ...loads].map((load) => ({
    peer,
    settings,
    load,
    variant: load ? `behind ${LOADS[load].label}` : NOTHING,
  }));
}

function targetsFor(loads) {
  return loads.map((load) => ({
    of: `howdah, behind ${LOADS[load].label}`,
    against: `howdah, ${NOTHING}`,
    least: 0.8,
  }));
}

function prepare(run, side, queueName) {
  const scale = run.quick ? 0.01 : 1;
  return async (database) => {
    if (side.load) await addLoad(database, { load: side.load, schema: SCHEMAS[side.peer], scale, queueName });
  };
}

/** Jobs without a queue, beside many that cannot run. */
export const behind = {
  name: "behind",
  title: "Behind jobs that cannot run",
  unit: "jobs/s",
  what: "20,000 jobs without a queue, default options, 24 slots; alone, and beside jobs that a claim has to pass by: of two queues that a stopped worker has locked, of tasks that this worker does not know, due tomorrow with a better priority, without attempts left.",
  fair: "Each figure is compared with the same drain without the others, in the same round. The other jobs are older than those that run, so that they come first in every index by time.",
  sides: [
    ...sidesFor("howdah", "default", Object.keys(LOADS)),
    ...sidesFor("graphile-worker-0.17", "default", ["stuck", "foreign"]),
  ],
  targets: targetsFor(Object.keys(LOADS)),
  run: (run, side) => fillAndDrain(run, side, { total: run.quick ? 500 : 20_000, prepare: prepare(run, side) }),
};

const IN_ONE_QUEUE = ["foreign", "scheduled", "exhausted"];

/** The same inside of one queue. */
export const behindInQueue = {
  name: "behind-in-queue",
  title: "Behind jobs that cannot run, in the same queue",
  unit: "jobs/s",
  what: "5,000 jobs of one queue, default options, 24 slots; alone, beside two other queues that are stuck, and with jobs in the same queue that cannot run.",
  fair: "As above. A stuck queue runs nothing, so here the stuck jobs are in queues of their own.",
  sides: sidesFor("howdah", "default", ["stuck", ...IN_ONE_QUEUE]),
  targets: targetsFor(["stuck", ...IN_ONE_QUEUE]),
  run: (run, side) =>
    fillAndDrain(run, side, {
      total: run.quick ? 200 : 5_000,
      load: { queues: 1 },
      prepare: prepare(run, side, side.load === "stuck" ? undefined : "queue-0"),
    }),
};
