import { custom, func, integer, string } from "../runtime/option-kinds.ts";
import { isOptionsObject, readObject, type OptionPlace } from "../runtime/options.ts";
import type { JobSpec } from "./job.ts";
import { readQueueRules, type QueueRules, type StoredRules } from "./queue-rules.ts";

/**
 * Limits for the jobs of a task, for each key by itself. What is added with the task goes to the queue
 * `identifier:key`, or without `key` to the queue `identifier`, unless the add names another one. Workers that run
 * the task declare the rules of these queues when they are created.
 */
export interface TaskLimit<Payload> extends QueueRules {
  /** What the limits are for each by itself, such as a tenant. Default: they are for all jobs of the task together. */
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
  const pattern = key === undefined ? identifier : `${identifier}:*`;
  const { key: _, ...rules } = given as TaskLimit<never>;
  return { pattern, rules: readQueueRules(rules, pattern, place) };
}

/** The defaults of a task with a limit: the queue that it says, and under it what the task says itself. */
export function withLimitQueue<Payload>(
  identifier: string,
  limit: TaskLimit<Payload>,
  defaults: JobSpec | ((payload: Payload) => JobSpec) | undefined,
): (payload: Payload) => JobSpec {
  return (payload) => {
    const own = typeof defaults === "function" ? defaults(payload) : defaults;
    const queueName = limit.key === undefined ? identifier : `${identifier}:${limit.key(payload)}`;
    // Whatever else it is, is refused where the add checks it.
    return isOptionsObject(own) || own === undefined ? { queueName, ...own } : own;
  };
}

/** Names only: the values are read once the pattern is known. */
const KNOWN = {
  concurrency: custom((value) => value),
  rate: custom((value) => value),
  share: integer(),
  pool: string(),
};
