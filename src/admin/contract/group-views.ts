import { z } from "zod";
import { component, CountView, DurationText, Id, Name, storable, Time, TimesView, Whole } from "./component.ts";
import { JobRow } from "./job-views.ts";
import { RunningView, WorkerView } from "./worker-views.ts";

/** What the rules of a queue leave to its jobs. */
export const QueueLimitsView = component(
  "QueueLimits",
  "What the rules of a queue leave to its jobs.",
  z.object({
    rule: z
      .string()
      .nullable()
      .describe("The name or pattern whose rules it follows, or gets when it is waiting; null when they are gone."),
    concurrency: Whole.nullable().describe("How many of its jobs run at once; null for no limit."),
    running: Whole.describe("How many run. Without a limit those among its first 1,000 jobs."),
    rate: z
      .object({ limit: z.number(), perMs: z.number(), burst: Whole })
      .nullable()
      .describe("How many start in each `perMs`, and at once after a rest; null without a rate."),
    nextStartAt: Time.nullable().describe("When its rate lets the next job start; null when that may be now."),
    parkedUntil: Time.nullable().describe("Until when a handler has told it to wait."),
    share: Whole.describe("How many of its jobs start in its turn."),
    pool: z.string().nullable(),
    isWaiting: z.boolean().describe("No job of it starts until those that run have ended: then it gets other rules."),
  }),
);
export type QueueLimitsView = z.infer<typeof QueueLimitsView>;

/** What a pool leaves to the jobs of its queues. */
export const PoolView = component(
  "Pool",
  "What a pool leaves to the jobs of its queues.",
  z.object({
    name: z.string(),
    concurrency: Whole.nullable().describe("How many jobs of its queues run at once; null for no limit."),
    running: Whole.nullable().describe("How many run; null without a limit."),
    nextStartAt: Time.nullable().describe("When its rate lets the next job start; null when that may be now."),
  }),
);
export type PoolView = z.infer<typeof PoolView>;

/** A named queue. */
export const QueueView = component(
  "Queue",
  "A named queue.",
  z.object({
    name: z.string(),
    jobCount: CountView.describe("Its jobs that run or wait. Not exact above 1,000: then there are more."),
    readyCount: CountView,
    lockedAt: Time.nullable(),
    lockedBy: z.string().nullable(),
    isPaused: z.boolean(),
    pausedUntil: Time.nullable().describe("Null when the pause has no end, or there is none."),
    limits: QueueLimitsView.nullable().describe("Null for a queue without rules, which runs one job at a time."),
  }),
);
export type QueueView = z.infer<typeof QueueView>;

/** The answer of `GET queues`. */
export const QueuesAnswer = component(
  "Queues",
  "One page of queues, by name.",
  z.object({ asOf: Time, queues: z.array(QueueView), next: z.string().nullable() }),
);
export type QueuesAnswer = z.infer<typeof QueuesAnswer>;

/** The answer of `GET queues/:name`. */
export const QueueAnswer = component(
  "QueueAnswer",
  "One queue, with the jobs that run next, in their order.",
  z.object({ asOf: Time, queue: QueueView, jobs: z.array(JobRow).describe("The first 50.") }),
);
export type QueueAnswer = z.infer<typeof QueueAnswer>;

/** The answer of `GET queues/:name/lock`. */
export const LockAnswer = component(
  "Lock",
  "Who holds a queue or what its rules leave to it, what of it runs, and what waits behind that.",
  z.object({
    asOf: Time,
    queue: QueueView,
    sentence: z.string().describe('The state of the lock in words: "Held by w_3, alive 1 s ago, for 12 s."'),
    state: z
      .enum([
        "free",
        "held",
        "holder_silent",
        "holder_dead",
        "holder_unknown",
        "paused",
        "open",
        "full",
        "rated",
        "pool_full",
        "parked",
        "waiting",
      ])
      .describe("Those from `open` on are of queues with rules, which may be `paused`, too."),
    heldForMs: Whole.nullable(),
    freedInMs: Whole.nullable().describe("When recovery frees it at the latest, where the holder is dead; else null."),
    holder: WorkerView.nullable().describe("Null when it is free or has rules, or its holder is not registered."),
    pool: PoolView.nullable().describe("The pool that its rules name."),
    running: z.array(RunningView).describe("What of this queue runs, as workers say with their heartbeats."),
    chain: z.array(JobRow).describe("Jobs of the queue that are claimed, in the order in which they run; 50 at most."),
    waiting: z.object({
      count: CountView,
      oldest: JobRow.nullable(),
      oldestDueMs: Whole.nullable(),
    }),
    promise: z.string().describe("What an unlock by force breaks, in words."),
  }),
);
export type LockAnswer = z.infer<typeof LockAnswer>;

/** A task, and how it does. */
export const TaskView = component(
  "Task",
  "A task: its jobs, who runs it, and how its handlers did in the last hour.",
  z.object({
    name: z.string(),
    ready: CountView,
    scheduled: CountView,
    running: CountView,
    failed: CountView,
    oldestDueMs: Whole.nullable().describe("Of the newest sample; null when it is not among the fifty oldest."),
    workers: Whole.describe("How many living workers know it."),
    isPaused: z.boolean(),
    pausedUntil: Time.nullable(),
    completed: Whole.describe("In the last hour."),
    attemptsFailed: Whole.describe("In the last hour."),
    ...TimesView.shape,
  }),
);
export type TaskView = z.infer<typeof TaskView>;

/** The answer of `GET tasks`. */
export const TasksAnswer = component(
  "Tasks",
  "The hundred tasks with the most jobs, and those that living workers know; first those that no worker runs.",
  z.object({ asOf: Time, tasks: z.array(TaskView) }),
);
export type TasksAnswer = z.infer<typeof TasksAnswer>;

/** What the handlers of a task did in one minute. */
const TaskSampleView = component(
  "TaskSample",
  "What the handlers of a task did in one minute, of all workers.",
  z.object({
    at: Time,
    task: z.string(),
    completed: Whole,
    failed: Whole,
    runMs: z.number(),
    ...TimesView.shape,
  }),
);

/** The answer of `GET tasks/:name`. */
export const TaskAnswer = component(
  "TaskAnswer",
  "One task, with the minutes of the last three hours and the ids of the workers that know it.",
  z.object({
    asOf: Time,
    task: TaskView,
    samples: z.array(TaskSampleView),
    workerIds: z.array(z.string()),
    lastFailed: JobRow.nullable().describe("The newest job that failed for good."),
    nearest: z.string().nullable().describe("Where no worker runs it: the nearest name of a task that one does."),
  }),
);
export type TaskAnswer = z.infer<typeof TaskAnswer>;

/** The answer of `GET tasks/:name/schema`. */
export const TaskSchemaAnswer = component(
  "TaskSchema",
  "What the payload of a task must be, as far as the server knows the task.",
  z.object({
    task: z.string(),
    isKnown: z.boolean().describe("Whether the server was given the task: then what is added must fit its schema."),
    isBatch: z.boolean(),
    schema: z.string().nullable().describe("JSON Schema (2020-12) as a text; null where it is not known."),
  }),
);
export type TaskSchemaAnswer = z.infer<typeof TaskSchemaAnswer>;

/** How long to pause. */
export const PauseRequest = component(
  "PauseRequest",
  "How long to pause.",
  z.strictObject({ until: z.iso.datetime({ offset: true }).optional().describe("Left out: until it is resumed.") }),
);
export type PauseRequest = z.infer<typeof PauseRequest>;

/** A pause, or that there is none any more. */
export const PauseAnswer = component(
  "Pause",
  "A pause, or that there is none any more.",
  z.object({ name: z.string(), isPaused: z.boolean(), pausedUntil: Time.nullable() }),
);
export type PauseAnswer = z.infer<typeof PauseAnswer>;

/** Which job was added. */
export const AddAnswer = component("Added", "The job that was added.", z.object({ id: Id }));
export type AddAnswer = z.infer<typeof AddAnswer>;

/** A job to add. */
export const AddRequest = component(
  "AddRequest",
  "A job to add.",
  z.strictObject({
    task: storable(z.string().min(1).max(128)),
    payload: z.string().max(10_000_000).optional().describe("JSON as a text. Left out: `{}`."),
    copyOf: Id.optional().describe(
      'The job that this is made of: where the payload has `"[redacted]"` at a redacted path, it takes what that job has.',
    ),
    queueName: storable(z.string().min(1).max(128)).optional(),
    runAt: z.iso.datetime({ offset: true }).optional(),
    runIn: DurationText.optional(),
    maxAttempts: z.int().min(1).max(32_767).optional(),
    jobKey: Name.optional(),
    jobKeyMode: z.enum(["replace", "preserve_run_at", "unsafe_dedupe"]).optional(),
    priority: z.int().min(-32_768).max(32_767).optional(),
    flags: z.array(z.string().min(1).max(128)).max(100).optional(),
    timeout: DurationText.optional(),
  }),
);
export type AddRequest = z.infer<typeof AddRequest>;
