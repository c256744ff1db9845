import { HowdahError, isHowdahError } from "../errors.ts";
import { AddCall, type AddHooks, attach, type JobChanges } from "../job/add/add-call.ts";
import { type CheckedSpec, checkJobSpec } from "../job/add/job-spec.ts";
import type { JobSpec } from "../job/job.ts";
import { encodePayload } from "../job/payload.ts";
import type { TickJob, TickToAdd } from "../postgres/queries/cron-ledger.ts";
import { encodeTick, type RecurringJob } from "./recurring-job.ts";
import type { DueTick } from "./track.ts";

/** A tick after its interceptors, ready to be stored. */
export interface AskedTick {
  readonly due: DueTick;
  readonly tick: TickToAdd & { readonly version: string };
  /** Reports the result to its interceptors. */
  readonly call: AddCall | undefined;
}

/**
 * The tick as it will be stored, after the interceptors of `beforeJobSchedule`;
 * without a payload when they skip it. Rejects with their errors, and with
 * those of `addJob` for invalid changes.
 */
export async function askTick(due: DueTick, hooks: AddHooks, backfilled: boolean): Promise<AskedTick> {
  const { track, tickMs } = due;
  const { id, payload, job } = track.recurring;
  const json = encodeTick(payload, tickMs, backfilled);
  const tick = { id, tickMs, payload: json, job, runAt: null, version: track.version ?? "" };
  if (!hooks.has("beforeJobSchedule")) return { due, tick, call: undefined };

  const call = new AddCall(hooks, { method: "tick", size: 1 });
  const subject = `the tick of ${track.recurring.source} entry ${JSON.stringify(id)}`;
  const event = { task: job.identifier, payload: JSON.parse(json) as unknown, spec: toSpec(job, tickMs) };
  try {
    const changes = await call.ask(event, subject);
    return { due, tick: changes ? { ...tick, ...change(track.recurring, json, changes) } : tick, call };
  } catch (error) {
    call.ended({ error });
    if (!isHowdahError(error, "HOWDAH_JOB_SKIPPED")) throw error;
    return { due, tick: { ...tick, payload: null }, call: undefined };
  }
}

function change({ id, job }: RecurringJob, json: string, { payload, spec, attach: properties }: JobChanges) {
  const subject = `schedule ${JSON.stringify(id)}`;
  const changed = payload === undefined ? json : encodePayload(payload, subject);
  const stored = { payload: properties ? encodePayload(attach(changed, properties), subject) : changed };
  if (spec === undefined) return stored;
  const checked = checkJobSpec(spec, subject);
  if (checked.jobKeyMode === "unsafe_dedupe") throw couldSwallow(subject);
  return { ...stored, runAt: checked.runAt, job: toTickJob(job.identifier, checked) };
}

function toTickJob(identifier: string, spec: CheckedSpec): TickJob {
  const { queueName, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs } = spec;
  return { identifier, queueName, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs };
}

function toSpec(job: TickJob, tickMs: number): JobSpec {
  const { queueName, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs } = job;
  const decided = { queueName, maxAttempts, jobKey, priority, flags, timeout: timeoutMs };
  const given = Object.entries(decided).filter(([, value]) => value !== null);
  const spec: JobSpec = { runAt: new Date(tickMs), ...Object.fromEntries(given) };
  return jobKey === null ? spec : { ...spec, jobKeyMode: jobKeyMode as NonNullable<JobSpec["jobKeyMode"]> };
}

function couldSwallow(subject: string): HowdahError {
  return new HowdahError(
    "HOWDAH_JOB_INVALID",
    `An interceptor of \`beforeJobSchedule\` gave ${subject} the \`jobKeyMode\` "unsafe_dedupe", which could swallow ticks.`,
  );
}
