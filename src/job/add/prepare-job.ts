import { HowdahError, isHowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import type { JobSpec } from "../job.ts";
import type { UniqueRule } from "../../postgres/queries/job-to-store.ts";
import { encodePayload, validatePayload } from "../payload.ts";
import type { AnyTaskDeclaration } from "../task-declaration.ts";
import { attach, type AddCall, type JobChanges } from "./add-call.ts";
import type { JobEntry, KnownTasks } from "./job-entry.ts";
import { checkJobSpec, checkName, type CheckedSpec, MAX_LENGTH } from "./job-spec.ts";
import { toUnique, withoutReplaced } from "./unique-rule.ts";

/**
 * Checks one job to add and merges the defaults of its task under its spec.
 * What interceptors make of it is checked again. Rejects with
 * `HOWDAH_TASK_UNKNOWN`, `HOWDAH_BATCH_EMPTY`, `HOWDAH_PAYLOAD_INVALID`,
 * `HOWDAH_JOB_INVALID` or `HOWDAH_OPTION_UNKNOWN`, and as {@link AddCall.ask}.
 */
export async function prepareJob(entry: JobEntry, settings: PrepareSettings = {}): Promise<PreparedJob> {
  return prepareNow(entry, settings);
}

/** As {@link prepareJob}, but throws, and makes no promise unless a schema or an interceptor has to be asked. */
export function prepareNow(entry: JobEntry, settings: PrepareSettings): PreparedJob | Promise<PreparedJob> {
  const { tasks, place = "job", call } = settings;
  const identifier = checkName(typeof entry.task === "string" ? entry.task : entry.task?.identifier, {
    name: "identifier",
    subject: place,
    max: MAX_LENGTH.identifier,
  });
  const registered = tasks?.get(identifier).task;
  const task = typeof entry.task === "string" ? registered : entry.task;
  const subject = `${place} \`${identifier}\``;
  // What is stored is what is checked: a missing payload is {}.
  const payload = entry.payload === undefined ? {} : entry.payload;
  const hasDefaults = task?.defaults !== undefined || task?.unique !== undefined || task?.debounce !== undefined;
  const spec = hasDefaults ? withDefaults(entry.spec, task, { payload, subject }) : entry.spec;
  const checked = checkJobSpec(spec, subject);
  const json = encodePayload(payload, subject);
  const job = toPrepared(identifier, json, checked);
  if (!call && !(task && hasRules(task))) {
    return checked.unique === undefined ? job : withKey(job, checked, { payload, subject });
  }
  return askOthers(job, { subject, task, payload, spec: spec as JobSpec | undefined, checked, call });
}

/** A job that may be stored: its task known, its payload valid and written as JSON, its spec checked. */
export interface PreparedJob extends Omit<CheckedSpec, "unique"> {
  readonly identifier: string;
  /** JSON. */
  readonly payload: string;
  /** What becomes of it when its key, which is there then, is taken. */
  readonly unique?: UniqueRule | undefined;
}

/** What a job to add is checked against. */
export interface PrepareSettings {
  /** Those that may be added; without it any identifier may. */
  readonly tasks?: KnownTasks | undefined;
  /** Where the job stands among others, for messages. Default "job". */
  readonly place?: string;
  /** The call that adds it, when its interceptors have a say. */
  readonly call?: AddCall | undefined;
}

/** Written out, because this is done for each of very many jobs. */
function toPrepared(identifier: string, payload: string, spec: CheckedSpec): PreparedJob {
  const { queueName, runAt, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs, awaited } = spec;
  const how = { queueName, runAt, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs };
  return awaited === true ? { ...how, awaited, identifier, payload } : { ...how, identifier, payload };
}

/** A job that is unique. Its key is made of the payload before anything is attached to that. */
function withKey(
  job: PreparedJob,
  { jobKey, unique }: CheckedSpec,
  { payload, subject }: { readonly payload: unknown; readonly subject: string },
): PreparedJob {
  return unique ? { ...job, ...toUnique(unique, { identifier: job.identifier, jobKey, payload, subject }) } : job;
}

interface Asked {
  readonly subject: string;
  readonly task: AnyTaskDeclaration | undefined;
  readonly payload: unknown;
  readonly spec: JobSpec | undefined;
  readonly checked: CheckedSpec;
  readonly call: AddCall | undefined;
}

async function askOthers(
  job: PreparedJob,
  { subject, task, payload, spec, checked: given, call }: Asked,
): Promise<PreparedJob> {
  if (task) await validate(task, payload, subject);
  if (!call) return withKey(job, given, { payload, subject });
  const { identifier, payload: json } = job;
  const changes = await call.ask({ task: identifier, payload, spec: spec ?? {} }, subject);
  if (!changes) return withKey(job, given, { payload, subject });
  const checked = changes.spec === undefined ? given : checkJobSpec(changes.spec, subject);
  const changed = await changePayload(changes, { json, subject, task: task ?? declarationOf(call) });
  return withKey(toPrepared(identifier, changed, checked), checked, {
    payload: changes.payload === undefined ? payload : changes.payload,
    subject,
  });
}

/** Whether a payload has to be more than JSON. */
function hasRules(task: AnyTaskDeclaration): boolean {
  return task.kind === "batch" || task.payload !== undefined;
}

/** A payload that was replaced is checked like any other; what is attached to it is not. */
async function changePayload(
  { payload, attach: properties }: JobChanges,
  { json, subject, task }: { json: string; subject: string; task: AnyTaskDeclaration | undefined },
): Promise<string> {
  if (payload !== undefined && task) await validate(task, payload, subject);
  const changed = payload === undefined ? json : encodePayload(payload, subject);
  return properties ? encodePayload(attach(changed, properties), subject) : changed;
}

/** Of a batch that is known by its identifier only, no more is known than that it is one. */
function declarationOf({ method }: AddCall): AnyTaskDeclaration | undefined {
  return method === "addBatchJob" ? { kind: "batch", identifier: "" } : undefined;
}

/** Accepts a payload only if the task's schema does; a batch has items, and each of them passes. */
async function validate(task: AnyTaskDeclaration, payload: unknown, subject: string): Promise<void> {
  if (task.kind === "single") {
    if (task.payload) await validatePayload(task.payload, payload, `payload of ${subject}`);
    return;
  }
  if (!Array.isArray(payload))
    throw new HowdahError(
      "HOWDAH_PAYLOAD_INVALID",
      `The payload of batch ${subject} is ${describeValue(payload)}; it has to be an array of items.`,
    );
  if (payload.length === 0) throw emptyBatch(subject);
  if (!task.item) return;
  for (const [index, item] of payload.entries())
    await validatePayload(task.item, item, `payload[${index}] of ${subject}`);
}

function emptyBatch(subject: string): HowdahError {
  return new HowdahError("HOWDAH_BATCH_EMPTY", `Batch ${subject} has no items, so there would be nothing to run.`);
}

function withDefaults(
  spec: JobSpec | undefined,
  task: AnyTaskDeclaration,
  { payload, subject }: DefaultsInput,
): unknown {
  if (spec !== undefined && !isObject(spec)) return spec;
  const defaults = defaultsOf(task, payload, subject);
  const given = Object.entries(spec ?? {}).filter(([, value]) => value !== undefined);
  const { unique, debounce } = task;
  const all: Record<string, unknown> = { unique, debounce, ...defaults, ...Object.fromEntries(given) };
  const isUnique = all["unique"] !== undefined || all["debounce"] !== undefined;
  const { jobKeyMode, ...merged }: Record<string, unknown> = isUnique
    ? withoutReplaced(all, Object.fromEntries(given))
    : all;
  // When this add says when it runs, a default does not, whichever way each is written.
  if (spec?.runAt !== undefined && spec.runIn === undefined) delete merged["runIn"];
  if (spec?.runIn !== undefined && spec.runAt === undefined) delete merged["runAt"];
  // A default mode is for the adds that have a key; a mode of this very add without one is a mistake.
  const modeIsMeant = merged["jobKey"] !== undefined || spec?.jobKeyMode !== undefined;
  return modeIsMeant ? { ...merged, jobKeyMode } : merged;
}

interface DefaultsInput {
  readonly payload: unknown;
  readonly subject: string;
}

function defaultsOf(task: AnyTaskDeclaration, payload: unknown, subject: string): object {
  const { defaults = {} } = task;
  let found: unknown = defaults;
  if (typeof defaults === "function") {
    try {
      found = (defaults as (payload: unknown) => unknown)(payload);
    } catch (error) {
      // Such as that of a limit, which says more.
      if (isHowdahError(error, "HOWDAH_JOB_INVALID")) throw error;
      throw new HowdahError("HOWDAH_JOB_INVALID", `The function \`defaults\` of ${subject} failed.`, error);
    }
  }
  if (isObject(found)) return found;
  throw new HowdahError(
    "HOWDAH_JOB_INVALID",
    `The defaults of ${subject} are ${describeValue(found)}; they have to be an object.`,
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
