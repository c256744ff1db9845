import { z } from "zod";
import { component, CountView, DurationText, Id, storable, Time, Whole } from "./component.ts";
import { JobFilterView, JobRow } from "./job-views.ts";

/** What can be done to jobs. */
export const BulkAction = component(
  "Action",
  "What becomes of jobs.",
  z.enum(["retry", "reschedule", "complete", "fail", "cancel", "remove"]),
);
export type BulkAction = z.infer<typeof BulkAction>;

const Changes = {
  reason: storable(z.string().max(10_000)).optional().describe("For `cancel` and `fail`: becomes the last error."),
  to: z
    .strictObject({
      runAt: z.iso.datetime({ offset: true }).optional(),
      runIn: DurationText.optional().describe('Such as "5m".'),
      priority: z.int().min(-32_768).max(32_767).optional(),
      attempts: z.int().min(0).max(32_767).optional(),
      maxAttempts: z.int().min(1).max(32_767).optional(),
    })
    .optional()
    .describe("For `reschedule`: at least one of it."),
  again: z
    .strictObject({
      attempts: z.union([z.literal("again"), z.int().min(1).max(32_767)]).optional(),
      spread: DurationText.optional().describe('Such as "10m": each runs at a random time within it.'),
    })
    .optional()
    .describe("For `retry`: how many attempts, and over which time; otherwise all of them, at once."),
};

/** Which jobs to change, by their ids, at once. */
export const ActionRequest = component(
  "ActionRequest",
  "Changes jobs by their ids.",
  z.strictObject({ action: BulkAction, ids: z.array(Id).min(1).max(1_000), ...Changes }),
);
export type ActionRequest = z.infer<typeof ActionRequest>;

/** How to undo a change. */
export const UndoView = component(
  "Undo",
  "How to undo a change: requests for `POST jobs/actions`, one after another, as long as the jobs have not begun to run and were not changed again.",
  z.object({ sentence: z.string().describe("What they do."), steps: z.array(ActionRequest) }),
);
export type UndoView = z.infer<typeof UndoView>;

const Undo = UndoView.nullable().describe(
  "Null where it cannot be undone: what was deleted or told to stop, and operations, whose ids are not kept.",
);

/** What became of them. */
export const ActionAnswer = component(
  "ActionResult",
  "What became of jobs, by their ids.",
  z.object({
    changed: z.array(Id),
    signalled: z.array(Id).describe("They run, and were told to stop."),
    untouched: z
      .array(Id)
      .describe("They are gone, or not in a state for this, or not of this person's tasks and queues."),
    undo: Undo,
  }),
);
export type ActionAnswer = z.infer<typeof ActionAnswer>;

/** What an operation would do: one of `ids` and `filter`. */
export const PreviewRequest = component(
  "PreviewRequest",
  "What to look at before it is done: exactly one of `ids` and `filter`.",
  z.strictObject({
    action: BulkAction,
    ids: z.array(Id).min(1).max(1_000).optional(),
    filter: JobFilterView.optional(),
    ...Changes,
  }),
);
export type PreviewRequest = z.infer<typeof PreviewRequest>;

/** What an operation would do. */
export const PreviewAnswer = component(
  "Preview",
  "What would be changed and what would not. Nothing is changed by asking.",
  z.object({
    asOf: Time,
    action: BulkAction,
    sentence: z.string().describe('What the button says: "Retry 6,668 jobs of 2 tasks".'),
    matched: CountView,
    byState: z.object({ ready: Whole, scheduled: Whole, running: Whole, failed: Whole }),
    byTask: z.array(z.object({ task: z.string(), count: Whole })),
    untouched: z.array(z.object({ reason: z.string(), count: CountView })),
    sample: z.array(JobRow).describe("The first five."),
    undo: z.string().describe("How it can be undone, or that it cannot."),
    confirm: z.string().nullable().describe("What has to be given as `confirm`: the number, when it is above 1,000."),
    token: z.string().describe("Stands for this action on these jobs, without those that are added later."),
    expiresAt: Time,
  }),
);
export type PreviewAnswer = z.infer<typeof PreviewAnswer>;

/** Begins what was looked at. */
export const OperationRequest = component(
  "OperationRequest",
  "Begins what a preview showed.",
  z.strictObject({ token: z.string().min(1).max(1_000_000), confirm: z.string().max(30).optional() }),
);
export type OperationRequest = z.infer<typeof OperationRequest>;

/** A change of many jobs. */
export const OperationView = component(
  "Operation",
  "A change of many jobs, in batches of 500.",
  z.object({
    id: Id.nullable().describe("Null for jobs that were given by their ids: that is done at once."),
    action: BulkAction,
    state: z.enum(["running", "paused", "stopped", "done"]),
    isStalled: z.boolean().describe("It is running and no process has carried out a batch for 30 s: resume it."),
    filter: JobFilterView.nullable().describe("Which jobs; null for jobs that were given by their ids."),
    expected: Whole.nullable().describe("How many jobs the preview found; null when it is not known."),
    matched: Whole.describe("How many passed the filter so far."),
    changed: Whole,
    signalled: Whole.describe("How many of them ran, and were told to stop."),
    undo: Undo,
    who: z.string().nullable().describe("Who began it; null when it was not begun here."),
    createdAt: Time,
    updatedAt: Time,
  }),
);
export type OperationView = z.infer<typeof OperationView>;

/** The answer of `GET operations/:id`, and of what changes one. */
export const OperationAnswer = component(
  "OperationAnswer",
  "One operation.",
  z.object({ asOf: Time, operation: OperationView }),
);
export type OperationAnswer = z.infer<typeof OperationAnswer>;

/** The answer of `GET operations`. */
export const OperationsAnswer = component(
  "Operations",
  "Those that have not ended, then the newest of the others.",
  z.object({ asOf: Time, operations: z.array(OperationView) }),
);
export type OperationsAnswer = z.infer<typeof OperationsAnswer>;
