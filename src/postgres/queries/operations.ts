import type { Cell, Executor, Row } from "../driver.ts";
import { integerCell, numberArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import {
  cancelJobs,
  type ChangeTarget,
  REMOVAL,
  type Reschedule,
  RETRY,
  type RetryChange,
  retryCall,
  retryCells,
} from "./ending/change-jobs.ts";
import { filterConditions, type JobSelection, Values } from "./job-selection.ts";
import { isDelay, runTime } from "./run-times.ts";

/** Stores an operation on the jobs that there are now, and forgets those that ended a month ago. */
export async function startOperation(
  { executor, schema }: ChangeTarget,
  { action, filter, change, newestId }: OperationOrder & { readonly newestId?: string | undefined },
): Promise<OperationRecord> {
  const table = schema.of("_howdah_operations");
  // $1 action   $2 filter   $3 change   $4 newest id
  const text = `
with forgotten as (
  delete from ${table} where state operator(pg_catalog.=) any ('{stopped,done}'::pg_catalog.text[])
    and updated_at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) interval '30 days')
), operation as (
  insert into ${table} (action, filter, change, newest_id)
  values ($1::pg_catalog.text, $2::pg_catalog.json, $3::pg_catalog.json,
    coalesce($4::pg_catalog.int8, (select job.id from ${schema.of("_private_jobs")} as job order by job.id desc limit 1), 0))
  returning *
)
select ${columnsOf(schema)} from operation`;
  const values = [action, JSON.stringify(filter), JSON.stringify(change), newestId ?? null];
  const [row = []] = (await executor.query({ text, values })).rows;
  return toOperation(row);
}

/** The id of the newest job, "0" without any. */
export async function readNewestJobId({ executor, schema }: ChangeTarget): Promise<string> {
  const text = `select job.id from ${schema.of("_private_jobs")} as job order by job.id desc limit 1`;
  return (await executor.query({ text })).rows[0]?.[0] ?? "0";
}

/** What an operation is about. */
export interface OperationOrder {
  readonly action: OperationAction;
  readonly filter: JobSelection;
  readonly change: OperationChange;
}

/** What becomes of the jobs of an operation. */
export type OperationAction = "retry" | "reschedule" | "complete" | "fail" | "cancel" | "remove";

/** Where an operation stands: it goes on, waits to be resumed, or has ended. */
export type OperationState = "running" | "paused" | "stopped" | "done";

/** What an action leaves open. */
export interface OperationChange {
  readonly reschedule?: Reschedule | undefined;
  readonly retry?: RetryChange | undefined;
  readonly reason?: string | undefined;
}

/** A stored operation. Times are microseconds since 1970. */
export interface OperationRecord extends OperationOrder {
  readonly id: string;
  readonly newestId: string;
  readonly state: OperationState;
  readonly way: number;
  readonly afterId: string;
  readonly matched: number;
  readonly changed: number;
  readonly signalled: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Returns the newest operations, those that have not ended first. */
export async function listOperations(executor: Executor, schema: Schema, limit: number): Promise<OperationRecord[]> {
  // $1 limit
  const text = `select ${columnsOf(schema)} from ${schema.of("_howdah_operations")} as operation
order by operation.state operator(pg_catalog.=) any ('{stopped,done}'::pg_catalog.text[]), operation.id desc limit $1::pg_catalog.int4`;
  return (await executor.query({ text, values: [String(limit)] })).rows.map(toOperation);
}

/** Returns the operation with this id, or `undefined`; locks its row when the batch that follows is this transaction's. */
export async function getOperation(
  { executor, schema }: ChangeTarget,
  id: string,
  lock: "" | "for update" = "",
): Promise<OperationRecord | undefined> {
  // $1 operation id
  const text = `select ${columnsOf(schema)} from ${schema.of("_howdah_operations")} as operation
where operation.id operator(pg_catalog.=) $1::pg_catalog.int8 ${lock}`;
  const [row] = (await executor.query({ text, values: [id] })).rows;
  return row && toOperation(row);
}

/** Gives an operation another state, if it has one of these; it waits for a batch that is under way. */
export async function setOperationState(
  { executor, schema }: ChangeTarget,
  id: string,
  { from, to }: { readonly from: readonly OperationState[]; readonly to: OperationState },
): Promise<void> {
  // $1 operation id   $2 state
  const text = `update ${schema.of("_howdah_operations")} set state = $2::pg_catalog.text, updated_at = pg_catalog.now()
where id operator(pg_catalog.=) $1::pg_catalog.int8 and state operator(pg_catalog.=) any ('{${from.join(",")}}'::pg_catalog.text[])`;
  await executor.query({ text, values: [id, to] });
}

/** Stores how far an operation came. */
export async function advanceOperation(
  { executor, schema }: ChangeTarget,
  id: string,
  { way, afterId, state, matched, changed, signalled }: OperationStep,
): Promise<OperationRecord> {
  // $1 operation id   $2 way   $3 id   $4 state   $5 matched   $6 changed   $7 signalled
  const text = `update ${schema.of("_howdah_operations")} as operation
set way = $2::pg_catalog.int2, after_id = $3::pg_catalog.int8, state = $4::pg_catalog.text, updated_at = pg_catalog.now(),
  matched = operation.matched operator(pg_catalog.+) $5::pg_catalog.int8,
  changed = operation.changed operator(pg_catalog.+) $6::pg_catalog.int8,
  signalled = operation.signalled operator(pg_catalog.+) $7::pg_catalog.int8
where operation.id operator(pg_catalog.=) $1::pg_catalog.int8
returning ${columnsOf(schema)}`;
  const values = [id, String(way), afterId, state, ...[matched, changed, signalled].map(String)];
  const [row = []] = (await executor.query({ text, values })).rows;
  return toOperation(row);
}

/** What one batch has done, and where the next one begins. */
export interface OperationStep {
  readonly way: number;
  readonly afterId: string;
  readonly state: OperationState;
  /** How many jobs the batch found, changed, and told to stop. */
  readonly matched: number;
  readonly changed: number;
  readonly signalled: number;
}

/**
 * Locks those of these jobs that pass the filter now, and returns their ids. It
 * waits for transactions that hold one of them, or steps over it.
 */
export async function lockMatching(
  { executor, schema }: ChangeTarget,
  ids: readonly string[],
  { filter, stepOver }: { readonly filter: JobSelection; readonly stepOver: boolean },
): Promise<string[]> {
  const values = new Values();
  const conditions = [
    `job.id operator(pg_catalog.=) any (${values.add(numberArray(ids))}::pg_catalog.int8[])`,
    ...Object.values(filterConditions(schema, filter, values)),
  ];
  const text = `select job.id from ${schema.of("_private_jobs")} as job where ${conditions.join(" and ")}
order by job.id for update${stepOver ? " skip locked" : ""}`;
  return (await executor.query({ text, values: values.cells })).rows.map(([id]) => id ?? "");
}

/** Carries out an operation on these jobs. Returns how many it has changed, and told to stop. */
export async function applyOperation(
  target: ChangeTarget,
  { action, change }: Pick<OperationOrder, "action" | "change">,
  ids: readonly string[],
): Promise<{ readonly changed: number; readonly signalled: number }> {
  if (ids.length === 0) return { changed: 0, signalled: 0 };
  if (action === "cancel") {
    const { removed, signalled } = await cancelJobs(target, ids, change.reason ?? "Cancelled");
    return { changed: removed.length, signalled: signalled.length };
  }
  if (action === "remove") return { changed: await count(target, REMOVAL, [numberArray(ids)]), signalled: 0 };
  if (action === "complete")
    return { changed: await count(target, "complete_jobs($1::pg_catalog.int8[])", [numberArray(ids)]), signalled: 0 };
  if (action === "fail") {
    const call = "permanently_fail_jobs($1::pg_catalog.int8[], $2::pg_catalog.text)";
    return { changed: await count(target, call, [numberArray(ids), change.reason ?? null]), signalled: 0 };
  }
  if (action === "retry") {
    const cells = retryCells(change.retry ?? RETRY);
    return { changed: await count(target, retryCall(), [numberArray(ids), ...cells]), signalled: 0 };
  }
  return { changed: await reschedule(target, ids, change.reschedule), signalled: 0 };
}

function reschedule(target: ChangeTarget, ids: readonly string[], to: OperationChange["reschedule"]): Promise<number> {
  const { runAt = null, priority = null, attempts = null, maxAttempts = null } = to ?? {};
  // A delay is counted from the moment of the batch.
  const { expression } = runTime("$2", { delayed: isDelay(runAt), name: "" });
  const call = `reschedule_jobs($1::pg_catalog.int8[], ${expression}, $3::pg_catalog.int4,
  $4::pg_catalog.int4, $5::pg_catalog.int4)`;
  const numbers = [priority, attempts, maxAttempts].map(integerCell);
  return count(target, call, [numberArray(ids), runAt, ...numbers]);
}

async function count({ executor, schema }: ChangeTarget, call: string, values: readonly Cell[]): Promise<number> {
  const text = `select pg_catalog.count(job.id) from ${schema.quoted}.${call} as job`;
  return Number((await executor.query({ text, values })).rows[0]?.[0]);
}

function columnsOf(schema: Schema): string {
  const us = schema.of("_howdah_us");
  const names = "id action filter change newest_id state way after_id matched changed signalled".split(" ");
  return `${names.map((name) => `operation.${name}`).join(", ")}, ${us}(operation.created_at), ${us}(operation.updated_at)`;
}

function toOperation(row: Row): OperationRecord {
  const [id, action, filter, change, newestId, state, way, afterId, matched, changed, signalled, createdAt, updatedAt] =
    row;
  return {
    id: id ?? "",
    action: action as OperationAction,
    filter: JSON.parse(filter ?? "{}") as JobSelection,
    change: JSON.parse(change ?? "{}") as OperationChange,
    newestId: newestId ?? "0",
    state: state as OperationState,
    way: Number(way),
    afterId: afterId ?? "0",
    matched: Number(matched),
    changed: Number(changed),
    signalled: Number(signalled),
    createdAt: createdAt ?? "0",
    updatedAt: updatedAt ?? "0",
  };
}
