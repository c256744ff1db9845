import { integerCell, readNumbers } from "../literal.ts";
import type { JobStore, JobToStore, StoredJob } from "./add-jobs.ts";

/** True for a job that {@link addPlainJob} can store: without key, queue and flags. */
export function isPlain({ jobKey, queueName, flags }: JobToStore): boolean {
  return jobKey === null && queueName === null && flags === null;
}

/** Stores one plain job, as `addJob` does and for less. */
export async function addPlainJob({ executor, schema, notifies }: JobStore, job: JobToStore): Promise<StoredJob> {
  const { identifier, payload, runAt, maxAttempts, priority, timeoutMs } = job;
  const { rows } = await executor.query({
    name: "add_plain_job",
    text: `select ${schema.of("_howdah_add_plain_job_v1")}($1, $2, $3, $4, $5, $6, $7)`,
    values: [
      identifier,
      payload,
      runAt,
      integerCell(maxAttempts),
      integerCell(priority),
      integerCell(timeoutMs),
      String(notifies),
    ],
  });
  const [id, runAtUs, createdAtUs, isDue, queueId] = readNumbers(rows[0]?.[0]);
  return {
    row: [id ?? null, runAtUs ?? null, createdAtUs ?? null, null, queueId ?? null, isDue === "1" ? "t" : "f"],
    isNew: true,
  };
}
