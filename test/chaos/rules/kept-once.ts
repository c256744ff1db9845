import type { Rule } from "../verdict.ts";

/** What the names of jobs end with whose task keeps them, and of those that come to be awaited while they run. */
const KEPT = /\d[ka]$/;

/**
 * Every job that is to be kept is in the table of jobs or in history, once, with what its handler returned; no
 * other one is in history. Nothing removes jobs here, so both together are all that were added.
 */
export const keptOnce: Rule = ({ history, tables }) => {
  const places = new Map<string, string[]>();
  const found = (name: string, place: string): void => void places.set(name, [...(places.get(name) ?? []), place]);
  for (const { name } of tables.jobs) found(name, "jobs");
  for (const { name, id } of tables.kept) found(name ?? `job ${id} without a result`, "history");
  const started = new Set(history.runs.map(({ name }) => name));
  const violations: string[] = [];
  for (const { name, id, answer } of history.jobs) {
    const isThere = answer === "added" || (answer === "unsure" && started.has(name));
    const where = places.get(name) ?? [];
    if (isThere && KEPT.test(name) && where.length !== 1)
      violations.push(`${name} (${id ?? "id unknown"}) is in ${where.join(" and ") || "neither table"}`);
  }
  const known = new Set(history.jobs.map(({ name }) => name));
  for (const [name, where] of places) {
    if (where.includes("history") && !(known.has(name) && KEPT.test(name)))
      violations.push(`${name} is in history and is not to be kept`);
  }
  return { violations, counts: { kept: tables.kept.length } };
};
