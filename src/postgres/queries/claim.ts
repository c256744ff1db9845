import type { Driver } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Position } from "../position.ts";
import type { Schema } from "../schema.ts";
import { type ClaimAnswer, readClaimAnswer } from "./claim-answer.ts";

/** Up to where one priority of the jobs without a queue has been seen. */
export interface LevelFloor {
  readonly priority: number;
  readonly floor: Position;
}

/** Up to where a queue has been seen. */
export interface KnownQueue extends LevelFloor {
  readonly queueId: number;
}

/** What a claim looks for, and what its worker already knows. */
export interface ClaimRequest {
  readonly workerId: string;
  /** The most jobs to lock. */
  readonly quantity: number;
  readonly taskIds: readonly number[];
  /** `null` for none. */
  readonly forbiddenFlags: readonly string[] | null;
  /** Ascending by priority. */
  readonly levels: readonly LevelFloor[];
  /** Queues to look at first. */
  readonly queueIds: readonly number[];
  /** Queues of which it is known up to where they have been seen. */
  readonly queueFloors: readonly KnownQueue[];
  /** Queues not to look at unless `queueIds` names them: the worker holds them and will name them once they are free. */
  readonly heldQueueIds: readonly number[];
  /** Up to where queued jobs have been seen to become due. */
  readonly due: Position;
  /** Where to look through all queues from; -1 for anywhere, `null` for not at all. */
  readonly windowAfter: number | null;
  /** The most jobs of one queue. */
  readonly chainLength: number;
  /** The most queues to look for. */
  readonly mostQueues: number;
  /** Jobs to leave alone, because they cannot be locked. Default: none. */
  readonly skipIds?: readonly string[];
  /** Queues with rules in the order in which this worker served them last, the earliest first; the others come before them. Default: none. */
  readonly servedQueueIds?: readonly number[];
  /** The most jobs of queues with rules, which are for slots that are free. Default: `quantity`. */
  readonly mostRuled?: number;
  /** Tasks whose jobs are left where they are for now; what comes after one of them in its queue waits with it. Default: none. */
  readonly restingTaskIds?: readonly number[];
  /** What may be taken of queues for calls that do several jobs. Default: nothing more than a chain. */
  readonly gathering?: GatheredCalls | undefined;
  /** Places of jobs that wait behind better priorities. Default: none. */
  readonly aging?: Aging | undefined;
  /** All of it is expected among the jobs without a queue of the first of `levels`. Changes nothing but the cost. Default `false`. */
  readonly isStraight?: boolean;
}

/** Jobs of a queue that follow its head, and are of the same task, may be done in one call with it. */
export interface GatheredCalls {
  readonly taskIds: readonly number[];
  /** The most jobs of one call, for each of these tasks. */
  readonly sizes: readonly number[];
  /** How many jobs the claim may take beyond its quantity, all of which follow others in their calls. */
  readonly further: number;
}

/** What a claim takes first: jobs of a priority behind the best one, of which the first has waited longest. */
export interface Aging {
  /** The most jobs. */
  readonly places: number;
  /** For how long it must have waited, in milliseconds. */
  readonly afterMs: number;
}

/** Locks jobs for a worker. What it does concurrently with other statements stands at the functions in `000003-claim.sql`, `new-lean-claim.sql` and `new-limits-claim.sql`. */
export type Claim = (request: ClaimRequest) => Promise<ClaimAnswer>;

/** Prepares {@link Claim} for one schema. */
export function createClaim(driver: Driver, schema: Schema): Claim {
  const queries = claimQueries("howdah_claim", [2, 2], (form) => claimText(schema, form));
  return async (request) => {
    const { rows } = await driver.query({ ...queries[claimFormOf(request)], values: claimValues(request) });
    return readClaimAnswer(rows);
  };
}

/** The statement by which a request is sent: most say nothing of gathered jobs and of ageing, and need not pay for it. */
export type ClaimForm = "anywhere" | "straight" | "anywhere_more" | "straight_more";

/** See {@link ClaimForm}. */
export function claimFormOf({ isStraight, gathering, aging }: ClaimRequest): ClaimForm {
  const place = isStraight === true ? "straight" : "anywhere";
  return gathering || aging ? `${place}_more` : place;
}

/** A statement for each form, with a name of its own; those of the first two have these versions. */
export function claimQueries(
  name: string,
  [anywhere, straight]: readonly [anywhere: number, straight: number],
  textOf: (form: ClaimForm) => string,
): Readonly<Record<ClaimForm, { readonly name: string; readonly text: string }>> {
  return {
    anywhere: { name: `${name}_${anywhere}`, text: textOf("anywhere") },
    straight: { name: `${name}_straight_${straight}`, text: textOf("straight") },
    anywhere_more: { name: `${name}_more_1`, text: textOf("anywhere_more") },
    straight_more: { name: `${name}_straight_more_1`, text: textOf("straight_more") },
  };
}

/** The statement that claims, with its values behind the first `before` ones. */
export function claimText(schema: Schema, form: ClaimForm, before = 0): string {
  const isStraight = form === "straight" || form === "straight_more";
  const count = form === "anywhere" || form === "straight" ? CLAIM_VALUES : CLAIM_VALUES + MORE_VALUES;
  const places = Array.from({ length: count }, (_, index) => `$${index + before + 1}`).join(", ");
  return `select * from ${schema.of(isStraight ? "_howdah_claim_straight_v1" : "_howdah_claim_v2")}(${places})`;
}

/** How many values {@link claimValues} gives, */
const CLAIM_VALUES = 22;
/** and how many more when they say something of gathered jobs or of ageing. */
const MORE_VALUES = 5;

/** The arguments of the function, in order. */
export function claimValues(request: ClaimRequest): (string | null)[] {
  const { gathering, aging } = request;
  const values = commonValues(request);
  if (!gathering && !aging) return values;
  return [
    ...values,
    gathering ? numberArray(gathering.taskIds) : null,
    gathering ? numberArray(gathering.sizes) : null,
    gathering ? String(gathering.further) : null,
    aging ? String(aging.places) : null,
    aging ? String(aging.afterMs) : null,
  ];
}

function commonValues(request: ClaimRequest): (string | null)[] {
  const { levels, queueFloors } = request;
  return [
    request.workerId,
    String(request.quantity),
    numberArray(request.taskIds),
    request.forbiddenFlags && textArray(request.forbiddenFlags),
    numberArray(levels.map((level) => level.priority)),
    numberArray(levels.map((level) => level.floor.at)),
    numberArray(levels.map((level) => level.floor.id)),
    numberArray(request.queueIds),
    request.due.at,
    request.due.id,
    request.windowAfter === null ? null : String(request.windowAfter),
    String(request.chainLength),
    String(request.mostQueues),
    queueFloors.length > 0 ? numberArray(queueFloors.map(({ queueId }) => queueId)) : null,
    numberArray(queueFloors.map(({ priority }) => priority)),
    numberArray(queueFloors.map(({ floor }) => floor.at)),
    numberArray(queueFloors.map(({ floor }) => floor.id)),
    request.heldQueueIds.length > 0 ? numberArray(request.heldQueueIds) : null,
    request.skipIds && request.skipIds.length > 0 ? numberArray(request.skipIds) : null,
    request.servedQueueIds && request.servedQueueIds.length > 0 ? numberArray(request.servedQueueIds) : null,
    request.mostRuled === undefined ? null : String(request.mostRuled),
    request.restingTaskIds && request.restingTaskIds.length > 0 ? numberArray(request.restingTaskIds) : null,
  ];
}
