import { createClient, silentLogger } from "../../dist/index.js";
import { callInChild } from "../measure/child.mjs";

const SELF = new URL(import.meta.url);

/** Gives the queues of a pattern these rules, and the pool `all` a number of lanes; in a child, as a deployment does. */
export function setRules(run, { connectionString }, { pattern = "queue-*", rules, pool }) {
  const input = { peer: "howdah", connectionString, pattern, rules, pool };
  return callInChild({ node: run.node, module: SELF, call: "giveRules", input });
}

/** Runs in a child. */
export async function giveRules({ connectionString, pattern, rules, pool }) {
  const client = await createClient({ connectionString, migrate: false, logger: silentLogger });
  if (pool !== undefined) await client.setQueuePool("all", { concurrency: pool });
  await client.setQueueRules(pattern, rules);
  await client.close();
}
