import type { Cell } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { type JobStateName, stateConditions } from "./job-columns.ts";

/** Which jobs a statement is about: those that pass all of it. What is left out does not matter. */
export interface JobSelection {
  readonly state?: JobStateName | undefined;
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  /** The worker that holds it. */
  readonly workerId?: string | undefined;
  readonly priority?: number | undefined;
  /** A part of the last error. */
  readonly error?: string | undefined;
  /** JSON that the payload contains. */
  readonly payload?: string | undefined;
  /** Not created before this time, as PostgreSQL reads it. */
  readonly since?: string | undefined;
  /** Created before this time, as PostgreSQL reads it. */
  readonly until?: string | undefined;
  /** Failed for good, not before this time, as PostgreSQL reads it. */
  readonly failedSince?: string | undefined;
  /** Failed for good, before this time, as PostgreSQL reads it. */
  readonly failedUntil?: string | undefined;
  /** Only jobs that have not failed for good. */
  readonly isOpen?: true | undefined;
  /** Only jobs that no worker runs. */
  readonly isIdle?: true | undefined;
  /** Only jobs of these tasks. */
  readonly tasks?: readonly string[] | undefined;
  /** Only jobs of these queues; null stands for jobs without one. */
  readonly queueNames?: readonly (string | null)[] | undefined;
}

/** The values of a statement, each with the place that stands for it in the text. */
export class Values {
  readonly cells: Cell[] = [];

  /** The place of another value, `$3`. */
  add(value: Cell): string {
    return `$${this.cells.push(value)}`;
  }
}

/** The conditions of each part of a filter on a row called `job`. */
export type FilterConditions = { readonly [Name in keyof JobSelection]?: string };

/** Writes a filter as conditions. Names stand as the ids of their rows, so that indexes can be used. */
export function filterConditions(schema: Schema, filter: JobSelection, values: Values): FilterConditions {
  const { state, priority, isOpen, isIdle, tasks, queueNames, ...texts } = filter;
  const written = Object.entries(texts)
    .filter((entry): entry is [TextFilter, string] => entry[1] !== undefined)
    .map(([name, value]) => [name, TEXT_CONDITIONS[name](values.add(value), schema)] as const);
  return {
    ...Object.fromEntries(written),
    ...(state === undefined ? {} : { state: stateConditions[state] }),
    ...(isIdle === true ? { isIdle: "job.locked_at is null" } : {}),
    ...(isOpen === true ? { isOpen: "not job._howdah_exhausted" } : {}),
    ...(priority === undefined
      ? {}
      : { priority: `job.priority operator(pg_catalog.=) ${values.add(String(priority))}::pg_catalog.int2` }),
    ...(tasks === undefined ? {} : { tasks: taskCondition(schema, values.add(textArray(tasks))) }),
    ...(queueNames === undefined ? {} : { queueNames: queueCondition(schema, queueNames, values) }),
  };
}

type TextFilter = Exclude<keyof JobSelection, "state" | "priority" | "isOpen" | "isIdle" | "tasks" | "queueNames">;

/**
 * When the last attempt of a job that failed for good began, or when it was
 * last changed by a call, as by one that marks it as failed.
 */
export const FAILED_AT = "greatest(job.updated_at, job._howdah_released_at)";

const TEXT_CONDITIONS: Readonly<Record<TextFilter, (value: string, schema: Schema) => string>> = {
  task: (name, schema) =>
    `job.task_id operator(pg_catalog.=) (select id from ${schema.of("_private_tasks")} where identifier operator(pg_catalog.=) ${name}::pg_catalog.text)`,
  queueName: (name, schema) =>
    `job.job_queue_id operator(pg_catalog.=) (select id from ${schema.of("_private_job_queues")} where queue_name operator(pg_catalog.=) ${name}::pg_catalog.text)`,
  jobKey: (key) => `job.key operator(pg_catalog.=) ${key}::pg_catalog.text`,
  workerId: (id) => `job.locked_by operator(pg_catalog.=) ${id}::pg_catalog.text`,
  error: (part) => `pg_catalog.strpos(job.last_error, ${part}::pg_catalog.text) operator(pg_catalog.>) 0`,
  // What is JSON need not be jsonb: some escapes and numbers would be errors.
  payload: (json) => `case when ${IS_NO_JSONB} then false
    else job.payload::pg_catalog.jsonb operator(pg_catalog.@>) ${json}::pg_catalog.jsonb end`,
  since: (at) => `job.created_at operator(pg_catalog.>=) ${at}::pg_catalog.timestamptz`,
  until: (at) => `job.created_at operator(pg_catalog.<) ${at}::pg_catalog.timestamptz`,
  failedSince: (at) => `${FAILED_AT} operator(pg_catalog.>=) ${at}::pg_catalog.timestamptz`,
  failedUntil: (at) => `${FAILED_AT} operator(pg_catalog.<) ${at}::pg_catalog.timestamptz`,
};

function taskCondition(schema: Schema, names: string): string {
  return `job.task_id operator(pg_catalog.=) any (array(select id from ${schema.of("_private_tasks")} where identifier operator(pg_catalog.=) any (${names}::pg_catalog.text[])))`;
}

function queueCondition(schema: Schema, names: readonly (string | null)[], values: Values): string {
  const place = values.add(textArray(names.filter((name) => name !== null)));
  const named = `job.job_queue_id operator(pg_catalog.=) any (array(select id from ${schema.of("_private_job_queues")} where queue_name operator(pg_catalog.=) any (${place}::pg_catalog.text[])))`;
  return names.includes(null) ? `(${named} or job.job_queue_id is null)` : named;
}

const ESCAPE = String.raw`[\\\\]u(0000|[dD][89a-fA-F])`;
const SURROGATE_PAIR = String.raw`[\\\\]u[dD][89abAB][0-9a-fA-F]{2}[\\\\]u[dD][c-fC-F][0-9a-fA-F]{2}`;
const LONG_EXPONENT = "[0-9][eE][+-]?[0-9]{4}";
const TEXT = String.raw`"(?:[^"\\\\]|[\\\\].)*"`;

/** The payload without its escaped backslashes: what follows one that is left is an escape. */
const ESCAPED = String.raw`pg_catalog.replace(job.payload::pg_catalog.text, E'\\\\', '')`;

/**
 * Has it a NUL, half of a surrogate pair, or a number with a long exponent? The
 * first look takes some others for that, such as the id "0e8400", so they get a second.
 */
const IS_NO_JSONB = `case when job.payload::pg_catalog.text operator(pg_catalog.~) E'${ESCAPE}|${LONG_EXPONENT}'
    then pg_catalog.regexp_replace(${ESCAPED}, E'${SURROGATE_PAIR}', '', 'g') operator(pg_catalog.~) E'${ESCAPE}'
      or pg_catalog.regexp_replace(${ESCAPED}, E'${TEXT}', '', 'g') operator(pg_catalog.~) '${LONG_EXPONENT}'
    else false end`;
