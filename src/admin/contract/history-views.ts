import { z } from "zod";
import { component, Id, Name, Time, Whole } from "./component.ts";
import { JsonText } from "./job-views.ts";

/** A finished job in a list, without its payload. */
export const FinishedRow = component(
  "FinishedJobRow",
  "A job that has ended and is kept, in a list.",
  z.object({
    id: Id,
    task: z.string(),
    queueName: z.string().nullable(),
    state: z.enum(["completed", "failed", "cancelled", "removed"]),
    jobKey: z.string().nullable(),
    attempts: Whole,
    maxAttempts: Whole,
    createdAt: Time,
    startedAt: Time.nullable().describe("When the handler of its last attempt was called."),
    finishedAt: Time,
    workerId: z.string().nullable(),
    error: z
      .string()
      .nullable()
      .describe("The first line of why it failed or was cancelled, its first 300 characters."),
  }),
);
export type FinishedRow = z.infer<typeof FinishedRow>;

/** A finished job with everything that is kept. */
export const FinishedView = component(
  "FinishedJob",
  "A job that has ended, with everything that is kept.",
  z.object({
    ...FinishedRow.shape,
    priority: z.int(),
    runAt: Time.nullable(),
    payload: JsonText.nullable().describe("Null when it is not kept."),
    result: JsonText.nullable().describe("What its handler returned; null for nothing, or when it is not kept."),
    lastError: z.string().nullable(),
  }),
);
export type FinishedView = z.infer<typeof FinishedView>;

/** The answer of `GET history`. */
export const HistoryAnswer = component(
  "History",
  "One page of finished jobs, the newest first.",
  z.object({
    asOf: Time,
    jobs: z
      .array(FinishedRow)
      .describe("Fewer than the limit, or none, where no index serves the filter, and for those who are limited."),
    next: z.string().nullable().describe("What to give as `after` for the next page; null when this was the last."),
  }),
);
export type HistoryAnswer = z.infer<typeof HistoryAnswer>;

/** The answer of `GET history/:id`. */
export const FinishedAnswer = component(
  "FinishedJobAnswer",
  "One finished job.",
  z.object({ asOf: Time, job: FinishedView }),
);
export type FinishedAnswer = z.infer<typeof FinishedAnswer>;

/** The answer of `GET jobs/:id/notes`. */
export const NotesAnswer = component(
  "JobNotes",
  "What is recorded of the attempts of a job, whether it waits, runs, has failed or is kept.",
  z.object({
    asOf: Time,
    attempts: z
      .array(
        z.object({
          attempt: Whole,
          startedAt: Time.nullable(),
          failedAt: Time,
          workerId: z.string().nullable(),
          error: z.string().nullable(),
          stack: z.string().nullable(),
        }),
      )
      .describe("The newest 100 that failed, in their order."),
    progress: z
      .object({ value: JsonText, at: Time })
      .nullable()
      .describe("How far its handler said that it is; null when it said nothing, or the job has ended."),
    lines: z
      .array(z.object({ at: Time, attempt: Whole, message: z.string(), fields: JsonText.nullable() }))
      .describe("The newest 500 lines of its log, in their order."),
  }),
);
export type NotesAnswer = z.infer<typeof NotesAnswer>;

/** Which finished jobs are meant. */
export const HistoryFilterView = component(
  "HistoryFilter",
  "Which finished jobs are meant: those that pass all of it. What is left out does not matter.",
  z.strictObject({
    state: z.enum(["completed", "failed", "cancelled", "removed"]).optional(),
    task: Name.optional(),
    queueName: Name.optional(),
    jobKey: Name.optional(),
    since: z.iso.datetime({ offset: true }).optional().describe("Not finished before this time."),
    until: z.iso.datetime({ offset: true }).optional().describe("Finished before this time."),
  }),
);
export type HistoryFilterView = z.infer<typeof HistoryFilterView>;
