import type { Rule } from "../verdict.ts";

/** Every job that was committed has completed; of one whose commit is unknown, either all is there or nothing. */
export const nothingLost: Rule = ({ history, tables }) => {
  const done = new Set(history.runs.filter(({ how }) => how === "ok").map(({ name }) => name));
  const started = new Set(history.runs.map(({ name }) => name));
  const left = new Map(tables.jobs.map((job) => [job.name, job]));
  const violations: string[] = [];
  const known = new Set<string>();
  for (const { name, id, answer, hopeless } of history.jobs) {
    known.add(name);
    const wanted = answer === "added" || (answer === "unsure" && started.has(name));
    const row = left.get(name);
    if (hopeless) {
      if (wanted && !row) violations.push(`${name} (${id}) can only fail, and its row is gone`);
      continue;
    }
    if (row) violations.push(`${name} (${row.id}) is still there: attempt ${row.attempts} of ${row.maxAttempts}`);
    if (wanted && !done.has(name)) violations.push(`${name} (${id ?? "id unknown"}, ${answer}) never completed`);
  }
  for (const { name, id } of tables.jobs) {
    if (!known.has(name)) violations.push(`${name} (${id}) is there although it was not added`);
  }
  const of = (wanted: string): number => history.jobs.filter(({ answer }) => answer === wanted).length;
  const counts = { added: of("added"), rolledBack: of("rolledBack"), unsure: of("unsure"), completed: done.size };
  return { violations, counts };
};
