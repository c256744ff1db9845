import type { NamedClaimRequest } from "../../postgres/queries/claim-named.ts";
import type { ClaimRequest } from "../../postgres/queries/claim.ts";
import type { ContinueRequest } from "../../postgres/queries/ending/release-and-continue.ts";
import type { FloorTicket } from "./floors.ts";
import type { GatheredTasks } from "./gathered-queues.ts";
import type { QueueFloor } from "./queue-memory.ts";

/** What to send, and what has to be known to learn from the answer. */
export type ClaimPlan = ByIdPlan | ContinuePlan | SearchPlan;

/** Locks jobs whose ids are known. What it does not lock belongs to others, or is behind the floors. */
export interface ByIdPlan {
  readonly kind: "byId";
  readonly wanted: Wanted;
  readonly sentAt: number;
  readonly request: NamedClaimRequest;
  readonly ticket: FloorTicket;
}

/** Goes on in queues whose chains the same statement ends. */
export interface ContinuePlan {
  readonly kind: "continue";
  readonly wanted: Wanted;
  readonly sentAt: number;
  readonly request: ContinueRequest;
  readonly ticket: FloorTicket;
  /** The floors of these queues. */
  readonly queueFloors: ReadonlyMap<number, QueueFloor>;
}

/** Looks for jobs. */
export interface SearchPlan {
  readonly kind: "search";
  readonly wanted: Wanted;
  readonly sentAt: number;
  readonly request: ClaimRequest;
  readonly ticket: FloorTicket;
  /** The floors of queues that it is sent with. */
  readonly queueFloors: ReadonlyMap<number, QueueFloor>;
  /** It begins at the first job of every priority. */
  readonly isHeadScan: boolean;
}

/** How much a claim is to bring. */
export interface Wanted {
  /** The most jobs. */
  readonly quantity: number;
  /** The most jobs of one queue. */
  readonly chainLength: number;
  /** The most queues; with fewer of them chains are longer. */
  readonly mostQueues: number;
  /** The most jobs of queues with rules: as many as start at once. Default: all of them. */
  readonly mostRuled?: number;
  /** How many jobs beyond `quantity` it may bring for calls that do several jobs of a queue. Default 0. */
  readonly further?: number;
  /** Bytes of payloads that wait already, and count for the bound of this one. Default 0. */
  readonly heldBytes?: number;
}

/** The worker as it claims now. */
export interface Claimant extends Pick<ClaimRequest, "workerId" | "taskIds" | "forbiddenFlags"> {
  /** Queues that the statement of the claim frees before it looks. */
  readonly freeing: readonly number[];
  /** Tasks of which it runs as many jobs as it may. */
  readonly restingTaskIds: readonly number[];
  /** Tasks that gather jobs, and the most jobs of a call of each; `undefined` for none. Default: none. */
  readonly gathered?: GatheredTasks | undefined;
}

/** What a memory goes by. */
export interface ClaimMemorySettings {
  /** The shortest time between two scans of the head, and the longest between two searches. */
  readonly pollIntervalMs: number;
  /** The most bytes of payloads that a claim brings, if that is more than one job. */
  readonly maxClaimBytes: number;
  /** Whether jobs can be claimed by their ids; otherwise each claim is a search. */
  readonly claimsById: boolean;
  /** Whether a claim can go on in queues that the same statement frees. Default `false`. */
  readonly continues?: boolean;
  /** How long jobs wait before claims reserve places for them. Default: for ever. */
  readonly priorityAgingMs?: number | undefined;
  /** Gives 0 to below 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** Flags whose jobs are left alone: a list, or a function that is asked before each claim. */
export type ForbiddenFlags =
  readonly string[] | (() => readonly string[] | null | undefined | Promise<readonly string[] | null | undefined>);
