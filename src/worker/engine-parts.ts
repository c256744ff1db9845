import type { HookEmitter } from "../hooks/hooks.ts";
import type { ForbiddenFlags } from "../job/claim/claimer.ts";
import type { LocalQueueSettings } from "../job/claim/local-queue/options.ts";
import type { Surroundings } from "../job/execute/execution.ts";
import type { HeldJobs } from "../job/held-jobs.ts";
import type { Interventions } from "../job/interventions.ts";
import type { TaskRegistry } from "../job/task-registry.ts";
import type { ClaimNamed } from "../postgres/queries/claim-named.ts";
import type { Claim } from "../postgres/queries/claim.ts";
import type { FindUnclaimable } from "../postgres/queries/find-unclaimable.ts";
import type { HeldLocks } from "../postgres/queries/held-locks.ts";
import type { ReleaseAndClaim } from "../postgres/queries/ending/release-and-claim.ts";
import type { Release } from "../postgres/queries/ending/release.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Identity } from "../job/identity.ts";
import type { Reporter } from "../job/reporter.ts";

/** What an engine is built of. */
export interface EngineParts {
  readonly identity: Identity;
  readonly clock: Clock;
  /** What the worker holds, of this run and of earlier ones. */
  readonly held: HeldJobs;
  readonly claim: Claim;
  /** Without it every claim looks everywhere. */
  readonly claimNamed?: ClaimNamed | undefined;
  /** Without it a job that cannot be locked keeps others from being claimed. */
  readonly findUnclaimable?: FindUnclaimable | undefined;
  readonly release: Release;
  /** Without it each is a statement of its own. */
  readonly releaseAndClaim?: ReleaseAndClaim | undefined;
  readonly locks: HeldLocks;
  readonly tasks: TaskRegistry;
  /** The tasks of this worker by their id, as they are stored now. */
  readonly taskIdentifiers: () => ReadonlyMap<number, string>;
  /** A task id is no longer stored. */
  readonly tasksGone: () => void;
  readonly surroundings: Surroundings;
  /** What was cancelled or paused from outside. */
  readonly interventions: Interventions;
  readonly reporter: Reporter;
  readonly hooks: HookEmitter;
  /** `undefined` to claim directly. */
  readonly localQueue: LocalQueueSettings | undefined;
  readonly concurrency: number;
  readonly pollIntervalMs: number;
  readonly forbiddenFlags: ForbiddenFlags;
  /** The most bytes of payloads that a claim brings, if that is more than one job. */
  readonly maxClaimBytes: number;
  readonly completeDelayMs: number;
  readonly failDelayMs: number;
  readonly gracePeriodMs: number;
  readonly abortPeriodMs: number;
  readonly interruptedRetryMs: number;
  /** After so long without an answer from the database others may run the queues that this worker has locked. */
  readonly contactTimeoutMs: number;
  /** No job is started later than this, by the monotonic clock, until it moves on: others may have taken it. */
  readonly startUntil: () => number;
  /** What is at hand waits for the database to say whether it may still start. */
  readonly askAgain: () => void;
  /** The most jobs to claim in all. */
  readonly maxJobs: number;
  /** Aborted when the worker closes: nothing can be written any more. */
  readonly closed: AbortSignal;
}
