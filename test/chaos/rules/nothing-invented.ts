import type { Rule } from "../verdict.ts";

/** What was rolled back never runs, and no job is stored twice. */
export const nothingInvented: Rule = ({ history }) => {
  const jobs = new Map(history.jobs.map((job) => [job.name, job]));
  const ids = new Map<string, string>();
  const violations: string[] = [];
  for (const { name, id, q, p } of history.runs) {
    const job = jobs.get(name);
    const first = ids.get(name) ?? job?.id ?? id;
    ids.set(name, first);
    if (!job) violations.push(`${name} (${id}) ran although it was not added`);
    else if (job.answer === "rolledBack") violations.push(`${name} (${id}) ran although it was rolled back`);
    else if (first !== id) violations.push(`${name} ran as ${first} and as ${id}`);
    else if (job.queue !== q || job.priority !== p)
      violations.push(`${name} (${id}) ran as another job than was added`);
  }
  return { violations };
};
