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

/** How many jobs that fail alike say nothing about each: it may be a right, the disk, or the whole server. */
const MANY = 3;

/** What became of one job that was tried. */
export interface TriedJob {
  readonly id: string;
  /** Null when it can be locked. */
  readonly state: string | null;
  readonly message: string | null;
}

/**
 * The jobs that are to blame for a claim that fails. A job that can be locked is
 * the evidence that those are at fault that cannot; without one, only a job or
 * two are suspected that are alone.
 */
export function blamedOf(tried: readonly TriedJob[]): readonly UnclaimableJob[] {
  const blamed = tried.flatMap(({ id, state, message }) =>
    state === null ? [] : { id, state, message: message ?? "" },
  );
  return blamed.length === tried.length && tried.length >= MANY ? [] : blamed;
}

/** Finds the jobs because of which a claim fails. What it does concurrently with others stands at the function in `000003-claim.sql`. */
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
    return blamedOf(rows.map(([id, state = null, message = null]) => ({ id: String(id), state, message })));
  };
}
