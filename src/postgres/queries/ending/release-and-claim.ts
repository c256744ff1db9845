import type { Driver, Row } from "../../driver.ts";
import { numberArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import { type ClaimAnswer, type ClaimRequest, CLAIM_VALUES, claimValues, readClaimAnswer } from "../claim.ts";
import { isReleaseStatus, type ReleaseAnswer, type ReleaseRequest, type ReleaseStatus } from "./release.ts";

/**
 * Ends claims of completed jobs and makes the next claim, in one statement and
 * one transaction: the claim sees the queues free that the release has
 * unlocked.
 */
export type ReleaseAndClaim = (release: ReleaseRequest, claim: ClaimRequest) => Promise<ReleaseAndClaimAnswer>;

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
export function createReleaseAndClaim(driver: Driver, schema: Schema, isRegistered = false): ReleaseAndClaim {
  const places = Array.from({ length: CLAIM_VALUES }, (_, index) => `$${index + 7}`).join(", ");
  // An append runs its parts in order, and each function sees what was done before it was called. Where the claim
  // says of what kind a row is, the release has its status.
  const text = `
select done.status, done.id, null, null, null, null, null, null, null, null, null, null
from ${schema.of("_howdah_release_v1")}(
  $1, $2, $3, '{}', '{}', '{}', '{}', '{}', '{}', $4, $5, $6, true, registered => ${isRegistered}
) as done
union all
select * from ${schema.of("_howdah_claim_v1")}(${places})`;
  return async (release, claim) => {
    const { chainEnds } = release;
    const { rows } = await driver.query({
      name: "howdah_release_and_claim_1",
      text,
      values: [
        release.workerId,
        numberArray(release.claimTimes),
        numberArray(release.completed),
        numberArray(chainEnds.map((end) => end.queueId)),
        numberArray(chainEnds.map((end) => end.lastJobId)),
        numberArray(chainEnds.map((end) => end.claimedAt)),
        ...claimValues(claim),
      ],
    });
    return { released: readReleaseAnswer(rows), claimed: readClaimAnswer(rows) };
  };
}

/** What became of both. */
export interface ReleaseAndClaimAnswer {
  readonly released: ReleaseAnswer;
  readonly claimed: ClaimAnswer;
}

/** True for a release that a claim may go with: it only deletes completed jobs and unlocks their queues. */
export function isOnlyCompletions({ completed, changed, patient, isApart }: ReleaseRequest): boolean {
  return patient && isApart !== true && completed.length > 0 && changed.length === 0;
}

function readReleaseAnswer(rows: readonly Row[]): ReleaseAnswer {
  const unreleased = new Map<string, ReleaseStatus>();
  for (const [status, cell] of rows) {
    const id = String(cell);
    // They come before all rows of the claim.
    if (!isReleaseStatus(status)) break;
    // The end of a chain says "busy" of its last job once more.
    if (!unreleased.has(id)) unreleased.set(id, status);
  }
  return { unreleased, runAts: NONE, releasedAts: NONE, hasClaimed: true };
}

const NONE: ReadonlyMap<string, string | null> = new Map();
