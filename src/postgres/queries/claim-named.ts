import type { Driver, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import type { ClaimRequest } from "./claim.ts";
import { ClaimedRow } from "./claimed-row.ts";

/** Which jobs to lock, and who may run what. */
export interface NamedClaimRequest extends Pick<ClaimRequest, "workerId" | "taskIds" | "forbiddenFlags"> {
  readonly jobIds: readonly string[];
}

/** The jobs that were locked. */
export interface NamedClaimAnswer {
  /** In no particular order. */
  readonly jobs: readonly ClaimedRow[];
  /** In microseconds; of no meaning without jobs. */
  readonly claimedAt: string;
}

/** Locks jobs without a queue whose ids are known, as far as they may run now and no other worker has them. */
export type ClaimNamed = (request: NamedClaimRequest) => Promise<NamedClaimAnswer>;

/** Prepares {@link ClaimNamed} for one schema. */
export function createClaimNamed(driver: Driver, schema: Schema): ClaimNamed {
  const text = `select * from ${schema.of("_howdah_claim_named_v1")}($1, $2, $3, $4)`;
  return async ({ workerId, jobIds, taskIds, forbiddenFlags }) => {
    const { rows } = await driver.query({
      name: "howdah_claim_named_1",
      text,
      values: [workerId, numberArray(jobIds), numberArray(taskIds), forbiddenFlags && textArray(forbiddenFlags)],
    });
    return { jobs: rows.map(toClaimedRow), claimedAt: rows[0]?.[0] ?? "0" };
  };
}

/** The row of a claim that searched has places for the queue. */
function toClaimedRow([claimedAt = null, id = null, taskId = null, ...rest]: Row): ClaimedRow {
  return new ClaimedRow([claimedAt, id, taskId, null, null, ...rest]);
}
