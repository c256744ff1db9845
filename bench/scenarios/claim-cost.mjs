import { callInChild } from "../measure/child.mjs";
import { median, monotonicMs } from "../measure/statistics.mjs";
import { addBacklog } from "../peers/loads.mjs";
import { openLoop } from "../peers/bare-loop.mjs";

const SELF = new URL(import.meta.url);
const INSTALL = new URL("../peers/install.mjs", import.meta.url);
const JOBS_A_CLAIM = 24;

/** Runs in a child: claims and releases batches, one after another, and returns how long a claim takes. */
export async function timeClaims({ connectionString, claims }) {
  const { claim, release, close } = await openLoop(connectionString);
  const times = [];
  for (let round = 0; round < claims; round += 1) {
    const startedAt = monotonicMs();
    const claimed = await claim(JOBS_A_CLAIM);
    times.push(monotonicMs() - startedAt);
    if (claimed.ids.length < JOBS_A_CLAIM) throw new Error("The backlog is too small for that number of claims.");
    await release(claimed);
  }
  await close();
  return median(times);
}

const BACKLOGS = [10_000, 100_000, 1_000_000];
const labels = BACKLOGS.map((backlog) => `backlog of ${backlog.toLocaleString("en")}`);

/** What a claim costs when more and more jobs wait. */
export const claimCost = {
  name: "claim-cost",
  title: "Cost of a claim, by backlog",
  unit: "ms a claim",
  isLessBetter: true,
  what: "400 claims of 24 jobs, each released before the next, by the bare loop with Howdah's SQL; the median of what a claim takes.",
  fair: "Only the number of waiting jobs differs. Claim and release are the statements that the worker sends.",
  sides: BACKLOGS.map((backlog, index) => ({ peer: "howdah", settings: "default", variant: labels[index], backlog })),
  targets: [{ of: `howdah, ${labels.at(-1)}`, against: `howdah, ${labels[0]}`, most: 1.3 }],
  async run(run, side) {
    const database = await run.postgres.createDatabase();
    const input = { peer: side.peer, connectionString: database.connectionString, claims: run.quick ? 10 : 400 };
    try {
      await callInChild({ node: run.node, module: INSTALL, call: "install", input });
      await addBacklog(database, "howdah", run.quick ? side.backlog / 20 : side.backlog);
      await database.settle();
      return { value: await callInChild({ node: run.node, module: SELF, call: "timeClaims", input }) };
    } finally {
      await database.drop();
    }
  },
};
