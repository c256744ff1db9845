import { fillAndDrain } from "../measure/drain.mjs";
import { addLoad } from "../peers/loads.mjs";

const PEERS = ["howdah", "howdah-shared", "graphile-worker-0.17"];
const SCHEMAS = { howdah: "howdah", "howdah-shared": "graphile_worker", "graphile-worker-0.17": "graphile_worker" };

const LOADS = {
  tuned: { settings: "tuned", total: 200_000 },
  default: { settings: "default", total: 20_000 },
  "10,000 queues": { settings: "tuned", total: 100_000, load: { queues: 10_000 }, handler: "watched" },
  "behind two stuck queues": { settings: "default", total: 5_000, stands: "stuck" },
};

/** What Howdah gives in the tables of graphile-worker, whose indexes a claim has to write. */
export const sharedLayout = {
  name: "shared-layout",
  title: "In a schema of graphile-worker",
  unit: "jobs/s",
  what: "Backlogs of 200,000 jobs with tuned settings, 20,000 with the defaults, 100,000 in 10,000 serial queues with tuned settings, and 5,000 with the defaults behind 100,000 jobs of two stuck queues: in a schema of Howdah's own, in one that graphile-worker 0.17 made and Howdah has adopted, and by graphile-worker itself.",
  fair: "The same jobs, slots and sizes of local queues for all three. Adopting adds columns, three indexes and two triggers to the tables of graphile-worker and takes nothing away.",
  columns: {
    mostAtOnce: "most at once in a queue",
    cpuUs: "worker CPU, µs/job",
    serverUs: "server CPU, µs/job",
  },
  sides: Object.entries(LOADS).flatMap(([variant, { settings }]) => PEERS.map((peer) => ({ peer, settings, variant }))),
  targets: Object.keys(LOADS).map((variant) => ({
    of: `howdah in a schema of graphile-worker, ${variant}`,
    against: `graphile-worker 0.17, ${variant}`,
    least: 1,
  })),
  run(run, side) {
    const { total, load = {}, handler, stands } = LOADS[side.variant];
    const scale = run.quick ? 0.01 : 1;
    return fillAndDrain(run, side, {
      total: total * scale,
      load,
      handler,
      prepare: stands && ((database) => addLoad(database, { load: stands, schema: SCHEMAS[side.peer], scale })),
    });
  },
};
