import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { custom, func, integer, string } from "../runtime/option-kinds.ts";
import { isOptionsObject, readObject, type OptionPlace } from "../runtime/options.ts";
import type { JobSpec } from "./job.ts";
import { MAX_NAME_LENGTH, readQueueRules, type QueueRules, type StoredRules } from "./queue-rules.ts";

/**
 * Limits for the jobs of a task, for each key by itself. What is added with the task goes to the queue
 * `identifier:key`, or without `key` to the queue `identifier`, unless the add names another one. Workers that run
 * the task declare the rules of these queues when they are created.
 */
export interface TaskLimit<Payload> extends QueueRules {
  /**
   * What the limits are for each by itself, such as a tenant. An add where it returns something else than a text or a
   * number is refused. Default: the limits are for all jobs of the task together.
   */
  readonly key?: ((payload: Payload) => string | number | bigint) | undefined;
}

/** The rules that a limit stands for, and for which queues. */
export interface DeclaredRules {
  readonly pattern: string;
  readonly rules: StoredRules;
}

/** Reads a limit. Throws `HOWDAH_OPTION_INVALID` and `HOWDAH_OPTION_UNKNOWN`. */
export function readTaskLimit(given: unknown, identifier: string, place: OptionPlace): DeclaredRules {
  const { key } = readObject(place, given, { ...KNOWN, key: func() });
  const pattern = patternOf(identifier, key !== undefined);
  const { key: _, ...rules } = given as TaskLimit<never>;
  return { pattern, rules: readQueueRules(rules, pattern, place) };
}

/** For which queues the limit of a task counts: no others than its own. */
function patternOf(identifier: string, hasKey: boolean): string {
  const pattern = hasKey ? `${identifier}:*` : identifier;
  if (!identifier.includes("*") && Array.from(pattern).length <= MAX_NAME_LENGTH) return pattern;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `The task ${JSON.stringify(identifier)} cannot have a \`limit\`, because its queues begin with its identifier: ` +
      `that must have no asterisk, and leave room for a colon and the key in ${MAX_NAME_LENGTH} characters.`,
  );
}

/** The defaults of a task with a limit: the queue that it says, and under it what the task says itself. */
export function withLimitQueue<Payload>(
  identifier: string,
  limit: TaskLimit<Payload>,
  defaults: JobSpec | ((payload: Payload) => JobSpec) | undefined,
): (payload: Payload) => JobSpec {
  return (payload) => {
    const own = typeof defaults === "function" ? defaults(payload) : defaults;
    const queueName = queueOf(identifier, limit, payload);
    // Whatever else it is, is refused where the add checks it.
    return isOptionsObject(own) || own === undefined ? { queueName, ...own } : own;
  };
}

/** The queue of one job. A key that was forgotten would put all such jobs under one limit together. */
function queueOf<Payload>(identifier: string, { key }: TaskLimit<Payload>, payload: Payload): string {
  if (key === undefined) return identifier;
  const found = callKey(identifier, key, payload);
  if (isKey(found)) return `${identifier}:${found}`;
  throw new HowdahError(
    "HOWDAH_JOB_INVALID",
    `The function \`limit.key\` of job \`${identifier}\` returned ${describeValue(found)}; it has to be a text or a number.`,
  );
}

function callKey<Payload>(identifier: string, key: (payload: Payload) => unknown, payload: Payload): unknown {
  try {
    return key(payload);
  } catch (error) {
    throw new HowdahError("HOWDAH_JOB_INVALID", `The function \`limit.key\` of job \`${identifier}\` failed.`, error);
  }
}

function isKey(found: unknown): found is string | number | bigint {
  return typeof found === "string" || typeof found === "bigint" || Number.isFinite(found);
}

/** Names only: the values are read once the pattern is known. */
const KNOWN = {
  concurrency: custom((value) => value),
  rate: custom((value) => value),
  share: integer(),
  pool: string(),
};
