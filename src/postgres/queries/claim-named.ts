import type { Driver, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import type { ClaimRequest } from "./claim.ts";

/** Which jobs to lock, and who may run what. */
export interface NamedClaimRequest extends Pick<ClaimRequest, "workerId" | "taskIds" | "forbiddenFlags"> {
  readonly jobIds: readonly string[];
}

/** The jobs that were locked. */
export interface NamedClaimAnswer {
  /** Read by `CLAIM_COLUMNS`; in no particular order. */
  readonly rows: readonly Row[];
  /** In microseconds; of no meaning without rows. */
  readonly claimedAt: string;
}

/** Locks jobs without a queue whose ids are known, as far as they may run now and nobody else has them. */
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
    return { rows: rows.map(withQueue), claimedAt: rows[0]?.[0] ?? "0" };
  };
}

/** The row of a claim that searched, which has an empty place for the queue. */
function withQueue([claimedAt, id, taskId, ...rest]: Row): Row {
  return [claimedAt ?? null, id ?? null, taskId ?? null, null, null, ...rest];
}
