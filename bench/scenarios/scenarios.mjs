import { behind, behindInQueue } from "./behind.mjs";
import { bulkAdd } from "./bulk-add.mjs";
import { claimCost } from "./claim-cost.mjs";
import { drainDefault } from "./drain-default.mjs";
import { drainTuned } from "./drain-tuned.mjs";
import { fairTurns } from "./fair-turns.mjs";
import { idle } from "./idle.mjs";
import { latencyApart } from "./latency-apart.mjs";
import { latency } from "./latency.mjs";
import { limits } from "./limits.mjs";
import { manyQueues } from "./many-queues.mjs";
import { memory } from "./memory.mjs";
import { mixedLoad } from "./mixed-load.mjs";
import { payloadDrain } from "./payload-drain.mjs";
import { payloadSizes } from "./payload-sizes.mjs";
import { pinnedSnapshot } from "./pinned-snapshot.mjs";
import { processes } from "./processes.mjs";
import { rates } from "./rates.mjs";
import { rawLimit } from "./raw-limit.mjs";
import { reads } from "./reads.mjs";
import { saturated } from "./saturated.mjs";
import { serialQueue } from "./serial-queue.mjs";
import { singleAdds } from "./single-adds.mjs";
import { sharedLayout } from "./shared-layout.mjs";
import { watchedDrain } from "./watched-drain.mjs";

/**
 * Everything that is measured, in the order of the report. A scenario is
 *
 *   name, title, unit    `isLessBetter` when small figures are good ones
 *   what, fair           a sentence on what is measured, and why it can be compared
 *   sides                { peer, settings, variant }: the label is the peer's and the variant's
 *   columns              further figures of a cell, by key, with their heading
 *   targets              { of, against, measure, least, most }: labels; with `against` the ratio of the two counts, and
 *                        of several the best of those that were measured
 *   repeats              how often, when that differs from the rest
 *   isConcurrent         measured for all sides at the same time
 *   run(run, side)       measures one cell and resolves with { value, … }
 */
export const SCENARIOS = [
  drainTuned,
  drainDefault,
  rawLimit,
  payloadDrain,
  mixedLoad,
  processes,
  serialQueue,
  manyQueues,
  behind,
  behindInQueue,
  claimCost,
  pinnedSnapshot,
  latency,
  latencyApart,
  singleAdds,
  bulkAdd,
  payloadSizes,
  idle,
  memory,
  reads,
  watchedDrain,
  sharedLayout,
  limits,
  saturated,
  rates,
  fairTurns,
];
