import type { Cell } from "../../src/postgres/driver.ts";
import { ClaimedJob, type ClaimTag } from "../../src/job/claimed-job.ts";
import { ClaimedRow } from "../../src/postgres/queries/claimed-row.ts";

/** The columns of a claimed row as PostgreSQL writes them; what is left out is a plain job without a queue. */
export type ClaimedCells = Partial<Record<(typeof COLUMNS)[number], Cell>>;

/** After the kind of the row, in this order. */
const COLUMNS = [
  "id",
  "taskId",
  "queueId",
  "queueName",
  "priority",
  "runAt",
  "attempts",
  "maxAttempts",
  "payload",
  "extras",
] as const;

/** A row as a claim answers it. */
export function claimedRow(given: ClaimedCells = {}): ClaimedRow {
  const plain = { id: "1", taskId: "1", priority: "0", runAt: "1767225600000001", attempts: "1", maxAttempts: "25" };
  const cells: ClaimedCells = { ...plain, payload: "{}", ...given };
  return new ClaimedRow(["job", ...COLUMNS.map((column) => cells[column] ?? null)]);
}

/** A job that the worker "w" claimed at microsecond 1767225600000000, as task "t", and that never becomes too old to start. */
export function claimedJob(cells: ClaimedCells = {}, tag: Partial<ClaimTag> = {}): ClaimedJob {
  const { taskIdentifiers = new Map([[1, "t"]]) } = tag;
  return new ClaimedJob(claimedRow(cells), {
    workerId: "w",
    claimedAt: "1767225600000000",
    claimedAtUs: 1767225600000000,
    sentAt: Number.POSITIVE_INFINITY,
    ...tag,
    taskIdentifiers,
  });
}
