import type { Cell, Row } from "../../src/postgres/driver.ts";
import { ClaimedJob, type ClaimTag } from "../../src/job/claimed-job.ts";
import { CLAIM_COLUMNS } from "../../src/postgres/queries/claim.ts";

/** The columns of a claimed row as PostgreSQL writes them; what is left out is a plain job without a queue. */
export type ClaimedCells = Partial<Record<keyof typeof CLAIM_COLUMNS, Cell>>;

/** A row as a claim answers it. */
export function claimedRow(cells: ClaimedCells = {}): Row {
  const plain = { id: "1", taskId: "1", priority: "0", runAt: "1767225600000001", attempts: "1", maxAttempts: "25" };
  const row: Cell[] = Array.from({ length: Object.keys(CLAIM_COLUMNS).length + 1 }, () => null);
  row[0] = "j";
  for (const [column, cell] of Object.entries({ ...plain, payload: "{}", ...cells })) {
    row[CLAIM_COLUMNS[column as keyof typeof CLAIM_COLUMNS]] = cell;
  }
  return row;
}

/** A job that the worker "w" claimed at microsecond 1767225600000000, as task "t", and that never becomes too old to start. */
export function claimedJob(cells: ClaimedCells = {}, tag: Partial<ClaimTag> = {}): ClaimedJob {
  const taskIdentifiers = new Map([[1, "t"]]);
  return new ClaimedJob(claimedRow(cells), {
    workerId: "w",
    claimedAt: "1767225600000000",
    sentAt: Number.POSITIVE_INFINITY,
    ...tag,
    taskIdentifiers,
  });
}
