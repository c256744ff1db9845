import type { Cell } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * What the rules of a queue leave to its jobs at this moment, as an expression with one JSON value: null for a queue
 * without rules. `queue` is its row; with `pool` what its pool leaves is read, too.
 */
export function limitsOfQueue(schema: Schema, queue: string, { pool }: { readonly pool: boolean }): string {
  const us = schema.of("_howdah_us");
  const poolOwner = `(operator(pg_catalog.-) ${queue}._howdah_pool_id)`;
  const ofPool = `
    'poolWidth', (select pool.width from ${schema.of("_howdah_pools")} as pool
      where pool.id operator(pg_catalog.=) ${queue}._howdah_pool_id),
    'poolHeld', ${lanesHeld(schema, poolOwner)},
    'poolNextAt', ${nextTokenAt(schema, poolOwner)},`;
  return `case when ${queue}._howdah_width is not null or ${queue}._howdah_rules_revision operator(pg_catalog.=) -1
  then pg_catalog.json_build_object(
    'width', ${queue}._howdah_width,
    'held', ${lanesHeld(schema, `${queue}.id`)},
    'share', ${queue}._howdah_share,
    'pool', (select pool.name from ${schema.of("_howdah_pools")} as pool
      where pool.id operator(pg_catalog.=) ${queue}._howdah_pool_id),${pool ? ofPool : ""}
    'nextAt', ${nextTokenAt(schema, `${queue}.id`)},
    'parkedUntil', case when ${queue}._howdah_parked_until operator(pg_catalog.>) pg_catalog.now()
      then ${us}(${queue}._howdah_parked_until)::pg_catalog.text end,
    'waits', ${queue}._howdah_rules_revision operator(pg_catalog.=) -1,
    'rule', ${ruleOf(schema, queue)}
  ) end`;
}

/** How many lanes of an owner are locked. */
export function lanesHeld(schema: Schema, owner: string): string {
  return `(select pg_catalog.count(*) from ${schema.of("_howdah_lanes")} as held
    where held.owner_id operator(pg_catalog.=) ${owner} and held.locked_at is not null)`;
}

/** When the next token of an owner is there, in microseconds as a text; null while one is there, and without a rate. */
export function nextTokenAt(schema: Schema, owner: string): string {
  const us = schema.of("_howdah_us");
  return `(select case when pg_catalog.min(bucket.next_at) operator(pg_catalog.>) pg_catalog.now()
      then ${us}(pg_catalog.min(bucket.next_at))::pg_catalog.text end
    from ${schema.of("_howdah_buckets")} as bucket
    where bucket.owner_id operator(pg_catalog.=) ${owner} and bucket.token_us is not null)`;
}

/** The stored rule that fits a queue: each pattern that can is looked up by key, however many rules there are. */
function ruleOf(schema: Schema, queue: string): string {
  return `(select pg_catalog.json_build_object('pattern', rule.pattern, 'tokenUs', rule.token_us, 'burst', rule.burst)
    from ${schema.of("_howdah_rules")} as rule
    where rule.pattern operator(pg_catalog.=) any (array(
      select ${queue}.queue_name
      union all
      select pg_catalog.concat(pg_catalog."left"(${queue}.queue_name, size), '*')
      from pg_catalog.generate_series(0, pg_catalog.length(${queue}.queue_name)) as size
    ))
    order by rule.pattern operator(pg_catalog.<>) ${queue}.queue_name, pg_catalog.length(rule.pattern) desc limit 1)`;
}

/** What the rules of a queue leave to its jobs. Times are microseconds since 1970. */
export interface QueueLimitsRecord {
  /** Null for a queue that waits until it may get its rules, 0 for no limit. */
  readonly width: number | null;
  /** How many of its lanes are locked. */
  readonly held: number;
  readonly share: number | null;
  readonly pool: string | null;
  /** Null without a pool, or where it was not read; and so are the two after it. */
  readonly poolWidth?: number | null;
  readonly poolHeld?: number;
  readonly poolNextAt?: string | null;
  /** When its rate lets the next job start; null when that may be now. */
  readonly nextAt: string | null;
  /** Null when it is not parked. */
  readonly parkedUntil: string | null;
  /** Whether it waits until jobs of it have ended, to get its rules. */
  readonly waits: boolean;
  /** The rule that fits it, and its rate; null when none does any more. */
  readonly rule: { readonly pattern: string; readonly tokenUs: number | null; readonly burst: number | null } | null;
}

/** Reads the value of {@link limitsOfQueue}. */
export function readQueueLimits(cell: Cell | undefined): QueueLimitsRecord | null {
  return cell == null ? null : (JSON.parse(cell) as QueueLimitsRecord);
}

/** The lock of a queue as it is told: the one that a queue with rules has for good is none. */
export function lockOfQueue(queue: string, column: "locked_at" | "locked_by"): string {
  return `case when ${queue}.locked_by operator(pg_catalog.<>) '_howdah_lanes' then ${queue}.${column} end`;
}
