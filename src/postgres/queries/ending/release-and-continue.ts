import type { Driver } from "../../driver.ts";
import { numberArray, textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import type { NamedClaimAnswer } from "../claim-named.ts";
import type { ClaimRequest, KnownQueue } from "../claim.ts";
import { ClaimedRow } from "../claimed-row.ts";
import { keptCells } from "./release-completed.ts";
import type { ReleaseRequest } from "./release-request.ts";

/**
 * Ends claims of completed jobs and locks the next job of each queue whose
 * chain ends with them, in one statement that looks at nothing else. A queue of
 * which no job is answered is unlocked. Rejects when not all of the jobs could
 * be released; then nothing has happened. What it does beside other statements
 * is told at the function in `new-lean-claim.sql`.
 */
export type ReleaseAndContinue = (release: ReleaseRequest, request: ContinueRequest) => Promise<NamedClaimAnswer>;

/** Where to go on, and who may run what. */
export interface ContinueRequest extends Pick<ClaimRequest, "workerId" | "taskIds" | "forbiddenFlags"> {
  /** The queues of the chains that the release ends, each once. */
  readonly queues: readonly KnownQueue[];
}

/** Prepares {@link ReleaseAndContinue} for one schema. */
export function createReleaseAndContinue(driver: Driver, schema: Schema): ReleaseAndContinue {
  const call = `select * from ${schema.of("_howdah_release_and_continue_v1")}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10`;
  const plain = { name: "howdah_release_and_continue_1", text: `${call})` };
  const keeping = { name: "howdah_release_keeping_and_continue_1", text: `${call}, $11, $12, $13, $14)` };
  return async ({ workerId, claimTimes, completed, kept, chainEnds }, { taskIds, forbiddenFlags, queues }) => {
    const endTimes = new Map(chainEnds.map(({ queueId, claimedAt }) => [queueId, claimedAt]));
    const { rows } = await driver.query({
      ...(kept ? keeping : plain),
      values: [
        workerId,
        numberArray(claimTimes),
        numberArray(completed),
        numberArray(taskIds),
        forbiddenFlags && textArray(forbiddenFlags),
        numberArray(queues.map(({ queueId }) => queueId)),
        numberArray(queues.map(({ queueId }) => endTimes.get(queueId) ?? "null")),
        numberArray(queues.map(({ priority }) => priority)),
        numberArray(queues.map(({ floor }) => floor.at)),
        numberArray(queues.map(({ floor }) => floor.id)),
        ...(kept ? keptCells(kept) : []),
      ],
    });
    return { jobs: rows.map((row) => new ClaimedRow(row)), claimedAt: rows[0]?.[0] ?? "0" };
  };
}
