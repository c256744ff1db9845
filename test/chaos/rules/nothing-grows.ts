import type { Rule } from "../verdict.ts";

const MEGABYTE = 1024 * 1024;

/** Neither sessions nor memory grow, and no worker ends by itself. */
export const nothingGrows: Rule = ({ history, limits }) => {
  const { connections, rssBytes, lagMs } = history.highest;
  const violations = history.unexpectedExits.map((exit) => `a process ended by itself: ${exit}`);
  if (connections > limits.connections) violations.push(`${connections} sessions, allowed are ${limits.connections}`);
  if (rssBytes > limits.rssBytes) violations.push(`a process of ${Math.round(rssBytes / MEGABYTE)} MB`);
  const memory = Math.round(rssBytes / MEGABYTE);
  return { violations, counts: { mostSessions: connections, mostMegabytes: memory, longestLagMs: lagMs } };
};
