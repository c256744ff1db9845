import type { Driver } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import type { ClaimRequest } from "./claim.ts";

/** A job that cannot be locked, and what PostgreSQL says about it. */
export interface UnclaimableJob {
  readonly id: string;
  /** The SQLSTATE; `HWKPT` when its row stayed as it was without an error. */
  readonly state: string;
  readonly message: string;
}

/** What a search leaves out is what the claim has left out that failed. */
export type UnclaimableRequest = Pick<ClaimRequest, "workerId" | "taskIds" | "forbiddenFlags" | "skipIds" | "quantity">;

/** Finds the jobs because of which a claim fails. What it does beside others is told at the function in `000003-claim.sql`. */
export type FindUnclaimable = (request: UnclaimableRequest) => Promise<readonly UnclaimableJob[]>;

/** Prepares {@link FindUnclaimable} for one schema. */
export function createFindUnclaimable(driver: Driver, schema: Schema): FindUnclaimable {
  const text = `select * from ${schema.of("_howdah_unclaimable_v1")}($1, $2, $3, $4, $5)`;
  return async ({ workerId, taskIds, forbiddenFlags, skipIds, quantity }) => {
    const { rows } = await driver.query({
      text,
      values: [
        workerId,
        numberArray(taskIds),
        forbiddenFlags && textArray(forbiddenFlags),
        skipIds && skipIds.length > 0 ? numberArray(skipIds) : null,
        String(quantity),
      ],
    });
    return rows.map(([id, state, message]) => ({ id: String(id), state: String(state), message: String(message) }));
  };
}
