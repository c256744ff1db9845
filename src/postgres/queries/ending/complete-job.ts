import type { Executor } from "../../driver.ts";
import { numberArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import { readTransactionId } from "../within-transaction.ts";

/**
 * Deletes a running job as part of the executor's transaction. Resolves to the
 * id of that transaction, as it is known to PostgreSQL. What it does beside
 * other statements is told at the function in `000007-endings.sql`; `new-kept-endings.sql`
 * has the one that keeps the job.
 */
export async function completeJob(executor: Executor, schema: Schema, claim: CompletedClaim): Promise<string> {
  const transactionId = await readTransactionId(executor);
  await executor.query({
    text: `select ${schema.of("_howdah_complete_v2")}($1::pg_catalog.int8, $2::pg_catalog.text, $3::pg_catalog.int8[],
  $4::pg_catalog.xid8, $5::pg_catalog.xid8, $6::pg_catalog.text)`,
    values: [
      claim.jobId,
      claim.workerId,
      numberArray(claim.claimTimes),
      transactionId,
      claim.earlier ?? null,
      claim.result,
    ],
  });
  return transactionId;
}

/** A claim that is to end inside of a transaction. */
export interface CompletedClaim {
  readonly jobId: string;
  readonly workerId: string;
  /** The fence: when it was locked, in microseconds. With several times each of them counts. */
  readonly claimTimes: readonly string[];
  /** The transaction of an earlier call for this claim. */
  readonly earlier: string | undefined;
  /** What the job has produced, as JSON; kept if its task keeps results, or it is awaited. */
  readonly result: string | null;
}

/** SQLSTATE: the claim is not this worker's any more. The transaction can only be rolled back. */
export const CLAIM_LOST_STATE = "HWLST";
