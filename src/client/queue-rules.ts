import { HowdahError } from "../errors.ts";
import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { toDate } from "../job/row.ts";
import {
  readPattern,
  readPoolRules,
  readQueueRules,
  toQueueRules,
  type PoolRules,
  type QueueRules,
} from "../job/queue-rules.ts";
import * as queries from "../postgres/queries/queue-rules.ts";
import { required, string } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { Session } from "./session.ts";

/** Limits and rates of queues. They are stored, and count for every worker. */
export interface QueueRulesControl {
  /**
   * Says how the jobs of a queue may start, or of all queues whose names begin with what stands before an
   * asterisk at the end, those that do not exist yet included. The rules of the longest pattern count, and
   * those of a name before all. `null` takes them away. Jobs that run go on: until they have ended, as many
   * may run as before. Once it has returned, no job starts by the rules from before, except in `waiting`
   * queues: those still run jobs, start no further ones, and get their rules within seconds of their end.
   * Rejects with `HOWDAH_OPTION_INVALID`, and with `HOWDAH_POOL_UNKNOWN` when there is no such pool.
   */
  setQueueRules(pattern: string, rules: QueueRules | null): Promise<QueueRulesResult>;
  /**
   * Makes or changes a pool: what its queues may start together. `null` takes it away, and rejects with
   * `HOWDAH_POOL_IN_USE` while rules name it. False when it was like that.
   */
  setQueuePool(name: string, rules: PoolRules | null): Promise<boolean>;
  /** All rules and pools that are stored, by name. */
  listQueueRules(): Promise<QueueRulesList>;
}

/** What {@link QueueRulesControl.setQueueRules} has done. */
export interface QueueRulesResult {
  /** False when the rules were like that. */
  readonly changed: boolean;
  /** How many queues have to finish jobs before they get their rules. */
  readonly waiting: number;
}

/** Rules for a name or pattern. */
export interface QueueRule extends QueueRules {
  readonly pattern: string;
  /** Whether workers declare them when they start, and may change them. */
  readonly isDeclared: boolean;
  readonly updatedAt: Date;
}

/** What several queues may start together. */
export interface QueuePool extends PoolRules {
  readonly name: string;
  readonly updatedAt: Date;
}

/** All that is stored. */
export interface QueueRulesList {
  readonly rules: readonly QueueRule[];
  readonly pools: readonly QueuePool[];
}

/** The methods for rules on one session, which is no transaction of a caller: a change would hold up claims until its end. */
export function createQueueRules(session: Session): QueueRulesControl {
  const target = { executor: session, schema: session.schema };
  return {
    async setQueueRules(given, rules) {
      const pattern = readPattern(given, { owner: "queue rules", path: "pattern" });
      const changed =
        rules === null
          ? await queries.removeRules(target, pattern)
          : await setRules(target, pattern, readQueueRules(rules, pattern, { owner: "queue rules", path: "" }));
      return { changed, waiting: changed ? await queries.applyPattern(target, pattern) : 0 };
    },

    async setQueuePool(given, rules) {
      const { name } = readOptions(
        "queue pool",
        { name: given },
        { name: required(string({ maxLength: MAX_LENGTH.queueName })) },
      );
      if (rules !== null) return queries.setPool(target, name, readPoolRules(rules, { owner: "pool", path: "" }));
      const answer = await queries.removePool(target, name);
      if (answer !== "used") return answer === "gone";
      throw new HowdahError(
        "HOWDAH_POOL_IN_USE",
        `The pool ${JSON.stringify(name)} is named by rules, or by a queue that still runs jobs by such rules: change these first.`,
      );
    },

    async listQueueRules() {
      const { rules, pools } = await queries.listRules(target);
      return {
        rules: rules.map((rule) => ({
          pattern: rule.pattern,
          ...toQueueRules(rule),
          isDeclared: rule.declaredBy !== null,
          updatedAt: toDate(rule.updatedAt),
        })),
        pools: pools.map((pool) => ({
          name: pool.name,
          ...toQueueRules({ ...pool, share: null, pool: null }),
          updatedAt: toDate(pool.updatedAt),
        })),
      };
    },
  };
}

async function setRules(target: queries.RulesTarget, pattern: string, rules: queries.RuleRow): Promise<boolean> {
  const answer = await queries.setRules(target, pattern, rules);
  if (answer === "no pool") throw poolUnknown(rules.pool);
  return answer === "set";
}

/** The error for rules that name a pool which does not exist. */
export function poolUnknown(pool: string | null): HowdahError {
  return new HowdahError(
    "HOWDAH_POOL_UNKNOWN",
    `There is no pool ${JSON.stringify(pool)}: make it with client.setQueuePool(), then set the rules that name it.`,
  );
}
