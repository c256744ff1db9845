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
  // Seen by a function of its own: the statement itself does not see what it has stored.
  const changed = `${schema.of("_howdah_stored_jobs_v1")}(array[added.told[1]])`;
  const { rows } = await executor.query({
    name: patienceMs === undefined ? "add_plain_job" : "add_plain_job_patiently",
    text: `select added.told, case when added.told[6] operator(pg_catalog.=) 1 then ${changed} end
from (select ${schema.of("_howdah_add_plain_job_v1")}(${first}, $2, $3, $4, $5, $6, $7) as told offset 0) as added`,
    values,
  });
  const [whole] = readStoredJobs(rows[0]?.[1]);
  if (whole) return whole;
  const [id, runAtUs, createdAtUs, isDue, queueId] = readNumbers(rows[0]?.[0]);
  return {
    row: [id ?? null, runAtUs ?? null, createdAtUs ?? null, null, queueId ?? null, isDue === "1" ? "t" : "f"],
    isNew: true,
  };
}
