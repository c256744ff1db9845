import type { StoredPayload } from "../../client/operator-access.ts";
import type { Pause, Pauses } from "../../client/control.ts";
import type { Job } from "../../job/job.ts";
import type { JobRow, JobView } from "../contract/job-views.ts";
import type { AdminGround } from "../ground.ts";

/** A job with everything that is stored, as people see it. */
export function toJobView({ job, payload }: StoredPayload, pauses: Pauses, ground: JobGround): JobView {
  const { redaction, settings } = ground;
  return {
    ...toJobRow(job, pauses, ground),
    payload: redaction.payload(payload),
    lastError: job.lastError === null ? null : redaction.textOf(job.lastError, payload),
    revision: job.revision,
    flags: [...job.flags],
    timeoutMs: job.timeoutMs,
    taskPausedUntil: endOf(pauses.tasks, job.task),
    queuePausedUntil: endOf(pauses.queues, job.queueName),
    traceUrl: traceUrlOf(job, settings.traceUrl),
  };
}

/** What views of jobs depend on. */
export type JobGround = Pick<AdminGround, "redaction" | "settings">;

/** A job in a list. */
export function toJobRow(job: Job, pauses: Pauses, { redaction }: JobGround): JobRow {
  const { id, task, queueName, state, priority, attempts, maxAttempts, jobKey, lockedBy, lastError } = job;
  const payload = redaction.hasPaths ? payloadOf(job) : undefined;
  const error = lastError === null ? null : redaction.textOf(lastError, payload);
  return {
    id,
    task,
    queueName,
    state,
    priority,
    runAt: toTime(job.runAt),
    attempts,
    maxAttempts,
    jobKey,
    error: error === null ? null : firstLine(error),
    createdAt: job.createdAt.toISOString(),
    updatedAt: job.updatedAt.toISOString(),
    lockedAt: toTime(job.lockedAt),
    lockedBy,
    isPaused: isNamed(pauses.tasks, task) || isNamed(pauses.queues, queueName),
  };
}

/** A time; null stays, and so does one that JavaScript has no date for. */
export function toTime(date: Date | null): string | null {
  return date === null || Math.abs(date.getTime()) >= LAST_MS ? null : date.toISOString();
}

/** The first line of an error, as lists show it. */
export function firstLine(text: string): string {
  return (text.split("\n", 1)[0] ?? "").slice(0, 300);
}

/** The last date that there is stands for infinity. */
const LAST_MS = 8.64e15;

/** Nothing for one that is nested too deep. */
function payloadOf({ payload }: Job): string | undefined {
  try {
    return JSON.stringify(payload) ?? "null";
  } catch {
    return undefined;
  }
}

function isNamed(pauses: readonly Pause[], name: string | null): boolean {
  return pauses.some((pause) => pause.name === name);
}

function endOf(pauses: readonly Pause[], name: string | null): string | null {
  return toTime(pauses.find((pause) => pause.name === name)?.until ?? null);
}

function traceUrlOf(job: Job, traceUrl: AdminGround["settings"]["traceUrl"]): string | null {
  const url = fromTemplate(job, traceUrl);
  return url !== undefined && URL.canParse(url) ? url : null;
}

function fromTemplate(job: Job, template: string | undefined): string | undefined {
  const traceId = traceIdOf(job.payload);
  if (template === undefined || (traceId === undefined && template.includes("{traceId}"))) return undefined;
  const values: Readonly<Record<string, string>> = { id: job.id, task: job.task, traceId: traceId ?? "" };
  return template.replace(/\{(id|task|traceId)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
}

/** As the plugin for OpenTelemetry stores it. */
function traceIdOf(payload: unknown): string | undefined {
  const trace = typeof payload === "object" && payload !== null ? (payload as { _trace?: unknown })._trace : undefined;
  const id = typeof trace === "object" && trace !== null ? (trace as { trace_id?: unknown }).trace_id : undefined;
  return typeof id === "string" && /^[0-9a-f]{32}$/.test(id) ? id : undefined;
}
