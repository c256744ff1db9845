import type { Cell, Executor } from "../driver.ts";
import { integerCell } from "../literal.ts";
import type { Schema } from "../schema.ts";

/** Where rules are stored. What is done beside other statements is told at the functions in `new-rules.sql`. */
export interface RulesTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** The numbers of rules: 0 lanes are as many as there are; a rate is the microseconds from token to token. */
export interface RuleRow {
  readonly width: number | null;
  readonly tokenUs: number | null;
  readonly burst: number | null;
  readonly share: number | null;
  readonly pool: string | null;
}

/** What came of rules that were to be stored; see `_howdah_set_rules_v1`. */
export type SetRulesAnswer = "set" | "same" | "kept" | "older" | "no pool";

/** Stores rules for a name or pattern, which a call sets unless it says by whom they are declared. They are not applied yet. */
export async function setRules(
  target: RulesTarget,
  pattern: string,
  { width, tokenUs, burst, share, pool, declaredBy = null }: RuleRow & { readonly declaredBy?: string | null },
): Promise<SetRulesAnswer> {
  // $1 pattern   $2 width   $3 microseconds a token   $4 burst   $5 share   $6 pool   $7 declarer
  const values = [
    pattern,
    integerCell(width),
    integerCell(tokenUs),
    integerCell(burst),
    integerCell(share),
    pool,
    declaredBy,
  ];
  return (await call(target, "_howdah_set_rules_v1($1, $2, $3, $4, $5, $6, $7)", values)) as SetRulesAnswer;
}

/** Takes the rules of a name or pattern away. False when there were none. They are not applied yet. */
export async function removeRules(target: RulesTarget, pattern: string): Promise<boolean> {
  // $1 pattern
  return (await call(target, "_howdah_remove_rules_v1($1)", [pattern])) === "t";
}

/**
 * Gives every queue that a pattern fits the shape of its rules, page by page. Returns
 * how many have to wait for it: sweeps give it to them when what they run has ended.
 */
export async function applyPattern({ executor, schema }: RulesTarget, pattern: string): Promise<number> {
  // $1 pattern   $2 after this id   $3 how many
  const text = `select last_id, waiting from ${schema.of("_howdah_apply_pattern_v1")}($1, $2, $3)`;
  let waiting = 0;
  for (let after: Cell = "0"; after !== null;) {
    const { rows }: { readonly rows: readonly (readonly Cell[])[] } = await executor.query({
      text,
      values: [pattern, after, String(PAGE)],
    });
    after = rows[0]?.[0] ?? null;
    waiting += Number(rows[0]?.[1] ?? 0);
  }
  return waiting;
}

/** Queues that one statement locks. */
const PAGE = 100;

/** Makes or changes a pool. False when it was like that. */
export async function setPool(
  target: RulesTarget,
  name: string,
  { width, tokenUs, burst }: Pick<RuleRow, "width" | "tokenUs" | "burst">,
): Promise<boolean> {
  // $1 name   $2 width   $3 microseconds a token   $4 burst
  const values = [name, integerCell(width), integerCell(tokenUs), integerCell(burst)];
  return (await call(target, "_howdah_set_pool_v1($1, $2, $3, $4)", values)) === "t";
}

/** Takes a pool away that nothing uses. */
export async function removePool(target: RulesTarget, name: string): Promise<"gone" | "unknown" | "used"> {
  // $1 name
  return (await call(target, "_howdah_remove_pool_v1($1)", [name])) as "gone" | "unknown" | "used";
}

/** Compares queues that were missed with the rules. Returns how many there were. */
export async function sweepRules(target: RulesTarget, intervalMs: number): Promise<number> {
  // $1 not if a worker has done so in this time
  return Number(await call(target, "_howdah_sweep_rules_v1($1)", [String(Math.round(intervalMs))]));
}

/** Rules as they are stored for a name or pattern. */
export interface StoredRule extends RuleRow {
  readonly pattern: string;
  readonly declaredBy: string | null;
  /** In microseconds. */
  readonly updatedAt: string;
}

/** A pool as it is stored. */
export interface StoredPool {
  readonly name: string;
  readonly width: number;
  readonly tokenUs: number | null;
  readonly burst: number | null;
  readonly updatedAt: string;
}

/** All rules and pools, by name. */
export async function listRules({
  executor,
  schema,
}: RulesTarget): Promise<{ readonly rules: readonly StoredRule[]; readonly pools: readonly StoredPool[] }> {
  const us = schema.of("_howdah_us");
  const text = `
select 'rule', pattern, width, token_us, burst, share, pool, declared_by, ${us}(updated_at)
from ${schema.of("_howdah_rules")}
union all
select 'pool', name, width, token_us, burst, null, null, null, ${us}(updated_at)
from ${schema.of("_howdah_pools")}
order by 1, 2`;
  const { rows } = await executor.query({ text });
  const rules: StoredRule[] = [];
  const pools: StoredPool[] = [];
  for (const [kind, name, width, tokenUs, burst, share, pool, declaredBy, updatedAt] of rows) {
    const shared = { tokenUs: numberOf(tokenUs), burst: numberOf(burst), updatedAt: updatedAt ?? "" };
    if (kind === "pool") pools.push({ ...shared, name: name ?? "", width: Number(width) });
    else
      rules.push({
        ...shared,
        pattern: name ?? "",
        width: numberOf(width),
        share: numberOf(share),
        pool: pool ?? null,
        declaredBy: declaredBy ?? null,
      });
  }
  return { rules, pools };
}

function numberOf(cell: Cell | undefined): number | null {
  return cell == null ? null : Number(cell);
}

async function call({ executor, schema }: RulesTarget, text: string, values: readonly Cell[]): Promise<Cell> {
  return (await executor.query({ text: `select ${schema.quoted}.${text}`, values })).rows[0]?.[0] ?? null;
}
