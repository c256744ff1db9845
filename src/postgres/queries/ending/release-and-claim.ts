import type { Driver } from "../../driver.ts";
import type { Schema } from "../../schema.ts";
import { type ClaimAnswer, readClaimAnswer } from "../claim-answer.ts";
import { type ClaimForm, claimFormOf, claimQueries, type ClaimRequest, claimText, claimValues } from "../claim.ts";
import { completionCount, completionValues, releaseCompletedCall } from "./release-completed.ts";
import type { ReleaseRequest } from "./release-request.ts";

/**
 * Ends claims of completed jobs and makes the next claim, in one statement and
 * one transaction: the claim sees the queues free that the release has
 * unlocked. Rejects when not all of the jobs could be released; then nothing
 * has happened.
 */
export type ReleaseAndClaim = (release: ReleaseRequest, claim: ClaimRequest) => Promise<ClaimAnswer>;

/**
 * Prepares {@link ReleaseAndClaim} for one schema.
 *
 * Both functions do beside others what they do alone. The release comes first
 * and is the only one that waits (100 ms at most, for a row that a user's
 * transaction holds); the claim never waits while it holds what the
 * release has changed, so they cannot wait for each other in a circle. If one
 * fails, neither has happened. If the answer is lost, neither is known:
 * the release is repeated by its fence, and what the claim may have locked is
 * recovered under the id that it was made with.
 */
export function createReleaseAndClaim(driver: Driver, schema: Schema): ReleaseAndClaim {
  // An append runs its parts in order, and each function sees what was done before it was called. The release has one
  // row without a kind.
  const textOf = (form: ClaimForm, isKept: boolean): string => `
select null, null, null, null, null, null, null, null, null, null, null, null
from ${releaseCompletedCall(schema, isKept)}
union all
${claimText(schema, form, completionCount(isKept))}`;
  const plain = claimQueries("howdah_release_and_claim", [3, 2], (form) => textOf(form, false));
  const keeping = claimQueries("howdah_release_keeping_and_claim", [1, 1], (form) => textOf(form, true));
  return async (release, claim) => {
    const query = (release.kept ? keeping : plain)[claimFormOf(claim)];
    const { rows } = await driver.query({ ...query, values: [...completionValues(release), ...claimValues(claim)] });
    return readClaimAnswer(rows);
  };
}
