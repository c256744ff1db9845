import type { Executor, Row } from "../driver.ts";
import { numberArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/**
 * Writes that a change begins, and returns the id of the entry; `undefined` when
 * another entry has begun the same preview. Keeps every entry for 90 days, so
 * that many changes cannot push an old one out; after that the newest
 * {@link KEPT}, and none for longer than 400 days.
 */
export async function beginAudit(
  { executor, schema }: AuditTarget,
  { who, action, target, operationId, preview }: AuditOrder,
): Promise<string | undefined> {
  const table = schema.of("_howdah_audit");
  // $1 who   $2 action   $3 target   $4 operation id   $5 preview
  const text = `
with entry as (
  insert into ${table} (who, action, target, operation_id, preview)
  values ($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.jsonb, $4::pg_catalog.int8, $5::pg_catalog.text)
  on conflict (preview) where preview is not null do nothing
  returning id
), forgotten as (
  delete from ${table} as old where old.id operator(pg_catalog.=) any (array(
    select old.id from ${table} as old order by old.id limit ${FORGOTTEN_AT_ONCE}
  )) and (
    old.at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) interval '400 days')
    or old.at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) interval '90 days')
      and old.id operator(pg_catalog.<=) ((select id from entry) operator(pg_catalog.-) ${KEPT}::pg_catalog.int8)
  )
)
select id from entry`;
  const values = [who, action, JSON.stringify(target), operationId ?? null, preview ?? null];
  return (await executor.query({ text, values })).rows[0]?.[0] ?? undefined;
}

/** Where entries are. */
export interface AuditTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** A change that begins. */
export interface AuditOrder {
  readonly who: string;
  readonly action: string;
  /** Ids, names and filters, without payloads. */
  readonly target: Readonly<Record<string, unknown>>;
  readonly operationId?: string | undefined;
  /** Stands for the preview that it begins: no second entry has it. */
  readonly preview?: string | undefined;
}

/** Writes how a change ended. */
export async function settleAudit(
  { executor, schema }: AuditTarget,
  id: string,
  { outcome, count, operationId }: AuditOutcome,
): Promise<void> {
  // $1 id   $2 outcome   $3 count   $4 operation id
  const text = `update ${schema.of("_howdah_audit")} as entry
set outcome = $2::pg_catalog.text, count = $3::pg_catalog.int8, operation_id = coalesce($4::pg_catalog.int8, entry.operation_id)
where entry.id operator(pg_catalog.=) $1::pg_catalog.int8`;
  const values = [id, outcome, count == null ? null : String(count), operationId ?? null];
  await executor.query({ text, values });
}

/** How a change ended. */
export interface AuditOutcome {
  /** `done`, or the code of an error. */
  readonly outcome: string;
  readonly count?: number | null | undefined;
  readonly operationId?: string | undefined;
}

/** Returns the entries that began these operations, however old they are. */
export async function listOperationStarts(
  { executor, schema }: AuditTarget,
  operationIds: readonly string[],
): Promise<AuditRecord[]> {
  // $1 operation ids
  const text = `select ${COLUMNS}, ${schema.of("_howdah_us")}(entry.at)
from ${schema.of("_howdah_audit")} as entry
where entry.operation_id operator(pg_catalog.=) any ($1::pg_catalog.int8[]) and entry.action operator(pg_catalog.=) 'operations.start'`;
  return (await executor.query({ text, values: [numberArray(operationIds)] })).rows.map(toRecord);
}

/**
 * Returns one page of entries, the newest first. With a filter a page looks at
 * {@link WINDOW} entries at most, and may be empty although others follow.
 */
export async function listAudit(
  { executor, schema }: AuditTarget,
  { before, limit, who, jobId }: AuditRequest,
): Promise<AuditPage> {
  // $1 before   $2 limit   $3 who   $4 job id
  const text = `
with looked as materialized (
  select * from ${schema.of("_howdah_audit")} as entry
  where ($1::pg_catalog.int8 is null or entry.id operator(pg_catalog.<) $1::pg_catalog.int8)
  order by entry.id desc limit ${WINDOW}
), page as (
  select * from looked as entry
  where ($3::pg_catalog.text is null or entry.who operator(pg_catalog.=) $3::pg_catalog.text)
    and ($4::pg_catalog.text is null or (entry.target operator(pg_catalog.->) 'ids') operator(pg_catalog.?) $4::pg_catalog.text)
  order by entry.id desc limit $2::pg_catalog.int4
)
select ${COLUMNS}, ${schema.of("_howdah_us")}(entry.at), edge.id
from (select (
  select pg_catalog.min(looked.id) from looked having pg_catalog.count(*) operator(pg_catalog.=) ${WINDOW}
) as id) as edge left join page as entry on true
order by entry.id desc`;
  const values = [before ?? null, String(limit + 1), who ?? null, jobId ?? null];
  const { rows } = await executor.query({ text, values });
  // Where the page ended is in each row, also in one without an entry.
  const entries = rows.filter(([id]) => id !== null).map(toRecord);
  const shown = entries.slice(0, limit);
  const edge = rows[0]?.[COLUMN_COUNT + 1] ?? null;
  return { entries: shown, next: entries.length > limit ? (shown.at(-1)?.id ?? null) : edge };
}

/** One page of the record. */
export interface AuditPage<Entry = AuditRecord> {
  readonly entries: readonly Entry[];
  /** What to give as `before` for the next page; null when this was the last. */
  readonly next: string | null;
}

/** Which entries to list; what is left out does not matter. */
export interface AuditRequest {
  readonly limit: number;
  /** Only those with a smaller id. */
  readonly before?: string | undefined;
  readonly who?: string | undefined;
  /** Only those that name this job. */
  readonly jobId?: string | undefined;
}

/** An entry. Its time is in microseconds since 1970. */
export interface AuditRecord {
  readonly id: string;
  readonly who: string;
  readonly action: string;
  readonly target: Readonly<Record<string, unknown>>;
  readonly outcome: string;
  readonly count: number | null;
  readonly operationId: string | null;
  readonly at: string;
}

/** The entries that are kept for more than 90 days, at most. */
const KEPT = 100_000;

/** Entries that one change forgets, at most. */
const FORGOTTEN_AT_ONCE = 100;

/** Entries that one page of a list with a filter looks at. */
const WINDOW = 10_000;

const COLUMNS = "entry.id, entry.who, entry.action, entry.target, entry.outcome, entry.count, entry.operation_id";

/** How many these are. */
const COLUMN_COUNT = 7;

function toRecord([id, who, action, target, outcome, count, operationId, at]: Row): AuditRecord {
  return {
    id: id ?? "",
    who: who ?? "",
    action: action ?? "",
    target: JSON.parse(target ?? "{}") as AuditRecord["target"],
    outcome: outcome ?? "",
    count: count == null ? null : Number(count),
    operationId: operationId ?? null,
    at: at ?? "0",
  };
}
