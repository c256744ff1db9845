import { integerCell, readNumbers } from "../literal.ts";
import { type JobStore, type JobToStore, readStoredJobs, type StoredJob } from "./add-jobs.ts";
import { limited } from "./patience.ts";

/** True for a job that {@link addPlainJob} can store: without key, queue and flags. */
export function isPlain({ jobKey, queueName, flags }: JobToStore): boolean {
  return jobKey === null && queueName === null && flags === null;
}

/** Stores one plain job, as `addJob` does and for less. */
export async function addPlainJob(store: JobStore, job: JobToStore): Promise<StoredJob> {
  const { executor, schema, notifies, patienceMs } = store;
  const { identifier, payload, runAt, maxAttempts, priority, timeoutMs } = job;
  const values = [
    identifier,
    payload,
    runAt,
    integerCell(maxAttempts),
    integerCell(priority),
    integerCell(timeoutMs),
    String(notifies),
  ];
  if (patienceMs !== undefined) values.push(String(patienceMs));
  const first = patienceMs === undefined ? "$1::pg_catalog.text" : limited("$1::pg_catalog.text", "$8");
  const { rows } = await executor.query({
    name: patienceMs === undefined ? "add_plain_job" : "add_plain_job_patiently",
    text: `select ${schema.of("_howdah_add_plain_job_v1")}(${first}, $2, $3, $4, $5, $6, $7)`,
    values,
  });
  const told = rows[0]?.[0];
  const [whole] = told?.startsWith("[") === true ? readStoredJobs(told) : [];
  if (whole) return whole;
  const [id, runAtUs, createdAtUs, isDue, queueId] = readNumbers(told);
  return {
    row: [id ?? null, runAtUs ?? null, createdAtUs ?? null, null, queueId ?? null, isDue === "1" ? "t" : "f"],
    isNew: true,
  };
}
