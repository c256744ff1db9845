import { startChild } from "../measure/child.mjs";
import { fillAndDrain } from "../measure/drain.mjs";
import { addLoad } from "../peers/loads.mjs";

const VIEWERS = new URL("../measure/page-viewers.mjs", import.meta.url);

/** How many pages are open in each variant. */
const PAGES = { "no page open": 0, "one page open": 1, "ten pages open": 10 };

/** What stands beside the jobs that are drained: as often each load as given. */
const OTHERS = { stuck: 5, scheduled: 4, exhausted: 15 };

/** What it costs a drain that people look at it. */
export const watchedDrain = {
  name: "watched-drain",
  title: "Drain a backlog while people look at the page",
  unit: "jobs/s",
  what: "1,000,000 jobs whose handler only counts, one worker process, beside 4,000,000 others: 500,000 in two queues that are locked elsewhere, 2,000,000 due tomorrow, 1,500,000 that failed for good. In another process, an admin API with no page, one or ten of them open: each page follows the overview, and one person goes through all views, two a second. The figures of the views are from asking to the end of the answer.",
  fair: "The three drains differ in nothing else. The views share two cores with the drain, so their times are those of a busy server.",
  columns: { viewMs: "a view, ms (median)", viewP95: "a view, ms (p95)", serverUs: "server CPU, µs/job" },
  sides: Object.keys(PAGES).map((variant) => ({ peer: "howdah", settings: "tuned", variant })),
  targets: [
    { of: "howdah, one page open", against: "howdah, no page open", least: 0.9 },
    { of: "howdah, ten pages open", against: "howdah, one page open", least: 0.95 },
    { of: "howdah, ten pages open", measure: "viewMs", most: 200 },
  ],
  run(run, side) {
    const pages = PAGES[side.variant];
    return fillAndDrain(run, side, {
      total: run.quick ? 2_000 : 1_000_000,
      prepare: (database) => addOthers(database, run.quick ? 0.001 : 1),
      beside: pages > 0 && (({ connectionString }) => openPages(run, { connectionString, pages })),
    });
  },
};

async function addOthers(database, scale) {
  for (const [load, times] of Object.entries(OTHERS)) {
    await addLoad(database, { load, schema: "howdah", scale: scale * times });
  }
}

async function openPages({ node }, input) {
  let ready;
  const isReady = new Promise((resolve) => (ready = resolve));
  const child = startChild({
    node,
    module: VIEWERS,
    call: "watchPages",
    input: { peer: "howdah", ...input },
    onMessage: ready,
  });
  await Promise.race([isReady, child.result]);
  return {
    async stop() {
      child.send("stop");
      return child.result;
    },
    kill: child.kill,
  };
}
