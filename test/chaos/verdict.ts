import type { History } from "./history.ts";
import type { Micros } from "./ledger.ts";
import type { ChaosRate } from "./limited-queues.ts";

/** A job that is still in the database when everything has ended. */
export interface LeftJob {
  readonly id: string;
  readonly name: string;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lockedBy: string | null;
  readonly lastError: string | null;
}

/** A claim that a release, or its handler's transaction, has ended, as a trigger saw it. */
export interface EndedClaim {
  readonly id: string;
  readonly worker: string;
  /** The row is gone, or it was kept. */
  readonly how: "deleted" | "kept";
}

/** What the database holds when everything has ended. */
export interface FinalTables {
  readonly jobs: readonly LeftJob[];
  /** Finished jobs, by the names that their results say; null for one without. */
  readonly kept: readonly { readonly id: string; readonly name: string | null }[];
  /** Queues that are locked, by name, and by whom. */
  readonly lockedQueues: readonly { readonly name: string; readonly lockedBy: string }[];
  /** Every claim that was ended by its holder. */
  readonly ends: readonly EndedClaim[];
  /** The ids of workers that were declared dead, and when, in milliseconds since 1970. */
  readonly declared: readonly { readonly worker: string; readonly atMs: number }[];
  /** The ids of workers that are still registered. */
  readonly workers: readonly string[];
}

/** What a verdict is about. */
export interface Evidence {
  readonly history: History;
  readonly tables: FinalTables;
  /** What rated queues let start; `undefined` without them. */
  readonly rate?: ChaosRate | undefined;
  /** Whether handlers were told to fail. */
  readonly failing: boolean;
  /** What has to be added to a time of the ledgers to make it one of the wall clock, both in microseconds. */
  readonly wallOffset: Micros;
  /** More sessions than this at once, or more memory in one process, is growth. */
  readonly limits: { readonly connections: number; readonly rssBytes: number };
}

/** Something that must not have happened. */
export interface Violation {
  readonly rule: string;
  readonly text: string;
}

/** What one rule says. */
export interface Finding {
  /** What must not have happened, one text each. */
  readonly violations: readonly string[];
  /** What happened and may, by name. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** A promise, and how a history shows whether it was kept. */
export type Rule = (evidence: Evidence) => Finding;
