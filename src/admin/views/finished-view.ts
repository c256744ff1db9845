import type { StoredFinishedJob } from "../../client/operator-access.ts";
import type { FinishedJob, JobAttempt } from "../../job/finished-job.ts";
import type { JobLogLine } from "../../job/job.ts";
import type { FinishedRow, FinishedView, NotesAnswer } from "../contract/history-views.ts";
import type { JsonText } from "../contract/job-views.ts";
import type { Redaction } from "../redact/redaction.ts";
import { firstLine, toTime } from "./job-view.ts";

/** A finished job in a list. */
export function toFinishedRow(job: FinishedJob, payload: string | undefined, redaction: Redaction): FinishedRow {
  const { id, task, queueName, state, jobKey, attempts, maxAttempts, workerId, error } = job;
  return {
    id,
    task,
    queueName,
    state,
    jobKey,
    attempts,
    maxAttempts,
    createdAt: job.createdAt.toISOString(),
    startedAt: toTime(job.startedAt),
    finishedAt: job.finishedAt.toISOString(),
    workerId,
    error: error === null ? null : firstLine(redaction.textOf(error, payload)),
  };
}

/** A finished job with everything that is kept, as people see it. */
export function toFinishedView({ job, payload, result }: StoredFinishedJob, redaction: Redaction): FinishedView {
  const known = payload ?? undefined;
  return {
    ...toFinishedRow(job, known, redaction),
    priority: job.priority,
    runAt: toTime(job.runAt),
    payload: payload === null ? null : redaction.payload(payload),
    result: result === null ? null : toJsonText(result, known, redaction),
    lastError: job.error === null ? null : redaction.textOf(job.error, known),
  };
}

/** A failed attempt, without what the payload of its job must not show. */
export function toAttemptView(
  { attempt, startedAt, failedAt, workerId, error, stack }: JobAttempt,
  payload: string | undefined,
  redaction: Redaction,
): NotesAnswer["attempts"][number] {
  return {
    attempt,
    startedAt: toTime(startedAt),
    failedAt: failedAt.toISOString(),
    workerId,
    error: error === null ? null : redaction.textOf(error, payload),
    stack: stack === null ? null : redaction.textOf(stack, payload),
  };
}

/** A line of a log, in the same way. */
export function toLineView(
  { at, attempt, message, fields }: JobLogLine,
  payload: string | undefined,
  redaction: Redaction,
): NotesAnswer["lines"][number] {
  return {
    at: at.toISOString(),
    attempt,
    message: redaction.textOf(message, payload),
    fields: fields === null ? null : toJsonText(JSON.stringify(fields), payload, redaction),
  };
}

/** JSON that a handler made of a payload: what must not be seen may be at the same paths, or anywhere else. */
export function toJsonText(json: string, payload: string | undefined, redaction: Redaction): JsonText {
  const shown = redaction.payload(json);
  if (!redaction.hasPaths || shown.isTruncated) return shown;
  const text = redaction.textOf(shown.text, payload);
  return { ...shown, text: isJson(text) ? text : HIDDEN, isRedacted: shown.isRedacted || text !== shown.text };
}

const HIDDEN = '"[redacted]"';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
