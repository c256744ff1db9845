import { z } from "zod";
import { component, CountView, Id, Name, Time, Whole } from "./component.ts";

/** A job in a list, without its payload. */
export const JobRow = component(
  "JobRow",
  "A job in a list.",
  z.object({
    id: Id,
    task: z.string(),
    queueName: z.string().nullable(),
    state: z.enum(["ready", "scheduled", "running", "failed"]),
    priority: z.int(),
    runAt: Time.nullable().describe("Null for a job that is never due."),
    attempts: Whole.describe("How often it was started."),
    maxAttempts: Whole,
    jobKey: z.string().nullable(),
    error: z.string().nullable().describe("The first line of the last error, its first 300 characters."),
    createdAt: Time,
    updatedAt: Time,
    lockedAt: Time.nullable(),
    lockedBy: z.string().nullable().describe("The id of the worker that holds it."),
    isPaused: z.boolean().describe("Whether its task or queue is paused."),
  }),
);
export type JobRow = z.infer<typeof JobRow>;

/** JSON as text. */
export const JsonText = component(
  "JsonText",
  'JSON as a text, so that large numbers stay exact. Values at redacted paths are `"[redacted]"`.',
  z.object({
    text: z.string(),
    bytes: Whole.describe("The length of what is stored."),
    isTruncated: z.boolean().describe("Whether `text` is only the beginning, and so no JSON."),
    isRedacted: z.boolean().describe("Whether values were replaced."),
  }),
);
export type JsonText = z.infer<typeof JsonText>;

/** A job with everything that is stored. */
export const JobView = component(
  "Job",
  "A job with everything that is stored.",
  z.object({
    ...JobRow.shape,
    payload: JsonText,
    lastError: z.string().nullable().describe("With its stack, as far as it is stored."),
    revision: Whole.describe("How often an add with the same key changed it."),
    flags: z.array(z.string()),
    timeoutMs: Whole.nullable(),
    taskPausedUntil: Time.nullable(),
    queuePausedUntil: Time.nullable(),
    traceUrl: z.string().nullable().describe("Where its trace is, by the option `traceUrl`."),
  }),
);
export type JobView = z.infer<typeof JobView>;

/** The answer of `GET jobs/:id`. */
export const JobAnswer = component("JobAnswer", "One job.", z.object({ asOf: Time, job: JobView }));
export type JobAnswer = z.infer<typeof JobAnswer>;

/** The answer of `GET jobs`. */
export const JobPageAnswer = component(
  "JobPage",
  "One page of jobs.",
  z.object({
    asOf: Time,
    jobs: z.array(JobRow),
    next: z.string().nullable().describe("What to give as `after` for the next page; null when this was the last."),
    searched: z
      .object({ from: Id.nullable(), to: Id.nullable() })
      .nullable()
      .describe(
        "Which jobs were looked at, 50,000 at most (20,000 for a payload), where no index serves the filter; else null.",
      ),
  }),
);
export type JobPageAnswer = z.infer<typeof JobPageAnswer>;

/** Why a job does not run, or what has become of it. */
export const WhyAnswer = component(
  "Why",
  "Why a job does not run: everything that is in its way, what counts first on top.",
  z.object({
    asOf: Time,
    id: Id,
    reasons: z.array(
      z.object({
        code: z.string(),
        message: z.string(),
        remedy: z.string(),
        workerId: z.string().optional(),
        jobId: z.string().optional(),
        until: Time.optional(),
        jobsBefore: Whole.optional().describe("How many jobs come first; not exact at 1,000."),
      }),
    ),
  }),
);
export type WhyAnswer = z.infer<typeof WhyAnswer>;

/** The errors of jobs that failed for good, by their first line. */
export const ErrorsAnswer = component(
  "Errors",
  "The errors of the newest 20,000 jobs that failed for good, by their first line.",
  z.object({
    asOf: Time,
    errors: z.array(
      z.object({
        message: z.string(),
        jobCount: CountView,
        oldestAt: Time.describe("When the first of them failed; newestAt when the last did."),
        newestId: Id,
        newestAt: Time,
        tasks: z.array(z.string()),
        byTask: z.array(z.object({ task: z.string(), count: Whole })).describe("The 20 with the most of them."),
      }),
    ),
    searchedTo: Id.nullable(),
  }),
);
export type ErrorsAnswer = z.infer<typeof ErrorsAnswer>;

/** Which jobs are meant: those that pass all of it. */
export const JobFilterView = component(
  "JobFilter",
  "Which jobs are meant: those that pass all of it. What is left out does not matter.",
  z.strictObject({
    state: z.enum(["ready", "scheduled", "running", "failed"]).optional(),
    task: Name.optional(),
    queueName: Name.optional(),
    jobKey: Name.optional(),
    workerId: Name.optional().describe("The worker that holds the job: then it runs."),
    priority: z.coerce.number().int().min(-32_768).max(32_767).optional(),
    error: z.string().min(1).max(1_000).optional().describe("A part of the last error, in its case."),
    payload: z.string().min(1).max(10_000).optional().describe("JSON that the payload contains, as a text."),
    since: z.iso.datetime({ offset: true }).optional().describe("Not created before this time."),
    until: z.iso.datetime({ offset: true }).optional().describe("Created before this time."),
    failedSince: z.iso
      .datetime({ offset: true })
      .optional()
      .describe("Failed for good, not before this time. With the state `failed`, or without a state."),
    failedUntil: z.iso.datetime({ offset: true }).optional().describe("The same, before this time."),
  }),
);
export type JobFilterView = z.infer<typeof JobFilterView>;
