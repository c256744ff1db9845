import { Option } from "commander";
import type { JobFilter } from "../client/job-filter.ts";
import type { JobState } from "../job/job.ts";
import { parseJson, parsePriority } from "./values.ts";

/** The options that select jobs; `states` are those in which they may be. */
export function selectionOptions(states: readonly JobState[]): Option[] {
  return [
    new Option("--task <identifier>", "only jobs of this task"),
    new Option("--queue <name>", "only jobs of this queue"),
    new Option("--state <state>", "only jobs in this state").choices(states),
    new Option("--key <key>", "only the job with this key"),
    new Option("--priority <number>", "only jobs of this priority").argParser(parsePriority),
    new Option("--error <text>", "only jobs whose last error contains this"),
    new Option("--payload <json>", "only jobs whose payload contains this JSON").argParser(parseJson),
    new Option("--since <time>", "only jobs that were not added before this time, in ISO 8601 with its offset"),
    new Option("--until <time>", "only jobs that were added before this time"),
    ...(states.includes("failed") ? FAILED_OPTIONS : []),
  ];
}

const FAILED_OPTIONS = [
  new Option("--failed-since <time>", "only jobs that failed for good, and not before this time"),
  new Option("--failed-until <time>", "only jobs that failed for good before this time"),
];

/** The values of {@link selectionOptions}. */
export interface SelectionOptions {
  readonly task?: string | undefined;
  readonly queue?: string | undefined;
  readonly state?: JobState | undefined;
  readonly key?: string | undefined;
  readonly priority?: number | undefined;
  readonly error?: string | undefined;
  readonly payload?: unknown;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly failedSince?: string | undefined;
  readonly failedUntil?: string | undefined;
}

/** The filter of the library for what was given; without a condition when no job was selected. */
export function readSelection(options: SelectionOptions): JobFilter {
  const { queue: queueName, key: jobKey, ...same } = options;
  const { task, state, priority, error, payload, since, until, failedSince, failedUntil } = same;
  const named = { task, queueName, state, jobKey, priority, error, payload, since, until, failedSince, failedUntil };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}
