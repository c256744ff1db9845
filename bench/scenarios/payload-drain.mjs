import { fillAndDrain } from "../measure/drain.mjs";

const SIZES = { "100 B": 100, "2 KB": 2_048 };
const labels = (peer) => Object.keys(SIZES).map((size) => `${peer}, ${size}`);
const OTHERS = ["graphile-worker 0.17", "graphile-worker 0.18", "graphile_worker_rs", "River"];

const sidesFor = (peer) =>
  Object.entries(SIZES).map(([variant, payloadBytes]) => ({ peer, settings: "tuned", variant, payloadBytes }));

/** The tuned drain with payloads as applications have them. */
export const payloadDrain = {
  name: "payload-drain",
  title: "Drain jobs with payloads of 100 B and 2 KB",
  unit: "jobs/s",
  what: "50,000 jobs whose payload has the size given, as JSON, with text that does not compress; tuned settings, a handler that only counts.",
  fair: "The payload is read and parsed by every side, and used by none. The payloads of the other scenarios have about ten bytes.",
  columns: {
    cpuUs: "worker CPU, µs/job",
    serverUs: "server CPU, µs/job",
    maxRssMb: "memory of the worker, MB at most",
  },
  sides: ["howdah", "graphile-worker-0.17", "graphile-worker-0.18", "graphile-worker-rs", "river"].flatMap(sidesFor),
  targets: labels("howdah").map((of, index) => ({
    of,
    against: OTHERS.map((other) => labels(other)[index]),
    least: 1.5,
  })),
  run: (run, side) =>
    fillAndDrain(run, side, { total: run.quick ? 500 : 50_000, load: { payloadBytes: side.payloadBytes } }),
};
