import type { Driver } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { createClaimNamed, type ClaimNamed } from "./claim-named.ts";
import { createClaim, type Claim } from "./claim.ts";
import { createFindUnclaimable, type FindUnclaimable } from "./find-unclaimable.ts";
import { createHeldLocks, type HeldLocks } from "./held-locks.ts";
import { createReleaseAndClaim, type ReleaseAndClaim } from "./ending/release-and-claim.ts";
import { createReleaseAndContinue, type ReleaseAndContinue } from "./ending/release-and-continue.ts";
import { createRelease, type Release } from "./ending/release.ts";

/** The statements by which a worker claims, releases and keeps jobs. */
export interface Statements {
  readonly claim: Claim;
  /** Without it every claim looks everywhere. */
  readonly claimNamed?: ClaimNamed | undefined;
  /** Without it a job that cannot be locked keeps others from being claimed. */
  readonly findUnclaimable?: FindUnclaimable | undefined;
  readonly release: Release;
  /** Without it each is a statement of its own. */
  readonly releaseAndClaim?: ReleaseAndClaim | undefined;
  /** Without it each claim that follows a release is a search. */
  readonly releaseAndContinue?: ReleaseAndContinue | undefined;
  readonly locks: HeldLocks;
}

/** Prepares {@link Statements} for one schema, for a worker that is registered while it runs or for one that is not. */
export function createStatements(driver: Driver, schema: Schema, isRegistered: boolean): Statements {
  return {
    claim: createClaim(driver, schema),
    claimNamed: createClaimNamed(driver, schema),
    findUnclaimable: createFindUnclaimable(driver, schema),
    release: createRelease(driver, schema, isRegistered),
    releaseAndClaim: createReleaseAndClaim(driver, schema),
    releaseAndContinue: createReleaseAndContinue(driver, schema),
    locks: createHeldLocks(driver, schema),
  };
}
