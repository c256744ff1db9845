import { z } from "zod";
import { component, Id, Role, StateCountsView, Time, TimesView, Whole } from "./component.ts";
import { JsonText } from "./job-views.ts";

/** Who asks, and what this page is about. */
export const SessionAnswer = component(
  "Session",
  "Who asks, and what this page is about.",
  z.object({
    name: z.string(),
    role: Role,
    tasks: z.array(z.string()).nullable().describe("The only tasks that this person may see; null for all."),
    queues: z
      .array(z.string().nullable())
      .nullable()
      .describe("The only queues; null among them stands for jobs without a queue; null for all."),
    readOnly: z.boolean(),
    environment: z.object({ name: z.string(), colour: z.string().nullable() }).nullable(),
    schema: z.string(),
    version: z.string(),
    hasTraces: z.boolean(),
    isRedacted: z.boolean().describe("Whether parts of payloads are replaced."),
    serverTime: Time,
  }),
);
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** Due jobs of a task or a queue. */
export const DueView = component(
  "Due",
  "The due jobs of a task or a queue, among the first thousands that are due.",
  z.object({ name: z.string(), jobCount: Whole, oldestMs: z.number() }),
);
export type DueView = z.infer<typeof DueView>;

/** A thing that needs a person. */
export const FindingView = component(
  "Finding",
  "What one check of the doctor found.",
  z.object({
    id: z.string(),
    title: z.string(),
    status: z.enum(["ok", "note", "unseen", "warn", "fail"]),
    finding: z.string(),
    means: z.string(),
    todo: z.string(),
    guide: z.string().describe("The page of the documentation."),
  }),
);
export type FindingView = z.infer<typeof FindingView>;

/** The answer of `GET doctor`. */
export const DoctorAnswer = component(
  "Doctor",
  "What the doctor found, in the order of the documentation.",
  z.object({ asOf: Time, status: z.enum(["ok", "warn", "fail"]), results: z.array(FindingView) }),
);
export type DoctorAnswer = z.infer<typeof DoctorAnswer>;

/** The answer of `GET overview`. */
export const OverviewAnswer = component(
  "Overview",
  "Everything at a glance.",
  z.object({
    asOf: Time,
    status: z.enum(["ok", "warn", "fail"]),
    sentence: z.string().describe('"Healthy. 12 of 24 slots busy, oldest due job 0.4 s." or "3 things need you."'),
    needs: z.array(FindingView).describe("What needs a person, the worst first; without those that are ok."),
    needsAsOf: Time.nullable().describe("When that was looked for; null for someone limited to some tasks or queues."),
    counts: StateCountsView,
    oldestDueMs: z.number().nullable(),
    workers: z.object({
      count: Whole,
      stale: Whole,
      slots: Whole,
      busy: Whole,
      longestRunMs: z.number().nullable(),
    }),
    rates: z
      .object({ addedPerSecond: z.number(), finishedPerSecond: z.number(), overSeconds: z.number() })
      .nullable()
      .describe("Of rows inserted and deleted by all programs, between the last samples; null without samples."),
    lastHour: z.object({ completed: Whole, attemptsFailed: Whole }).describe("Of all handlers, by the samples."),
    times: TimesView.describe("Of the last ten minutes; workers write it once a minute."),
    tasks: z.array(DueView).describe("The ten tasks whose oldest due jobs are the oldest."),
    queues: z.array(DueView).describe("The same of queues."),
    pauses: z.object({ tasks: Whole, queues: Whole }),
    sampleAt: Time.nullable().describe("When workers sampled last; null without samples."),
  }),
);
export type OverviewAnswer = z.infer<typeof OverviewAnswer>;

/** The jobs at one time. */
export const SampleView = component(
  "Sample",
  "The jobs at one time, or their averages over a longer one. Counts of more than 10,000 are estimates.",
  z.object({
    at: Time,
    ready: z.number(),
    scheduled: z.number(),
    running: z.number(),
    failed: z.number(),
    workers: z.number(),
    slots: z.number(),
    busy: z.number(),
    deadRows: z.number(),
    oldestDueMs: z.number().nullable(),
    oldestSnapshotMs: z.number().nullable(),
    addedPerSecond: z
      .number()
      .nullable()
      .describe("Since the sample before; null for the first, and when the statistics were reset."),
    finishedPerSecond: z.number().nullable(),
    tasks: z.array(DueView),
    queues: z.array(DueView),
  }),
);
export type SampleView = z.infer<typeof SampleView>;

/** What happened at one time. */
export const MarkerView = component(
  "Marker",
  "What happened at one time.",
  z.object({
    at: Time,
    kind: z
      .string()
      .describe(
        'What people changed, as in the record, such as "queues.pause"; or of workers: "workers.started" of those that are still registered, "workers.silent" of one that died and whose recovery is not over, "workers.fewer" and "workers.none" by the samples.',
      ),
    text: z.string(),
  }),
);
export type MarkerView = z.infer<typeof MarkerView>;

/** The answer of `GET samples`. */
export const SamplesAnswer = component(
  "Samples",
  "What workers counted, in the order of time, with what happened meanwhile.",
  z.object({
    asOf: Time,
    resolution: z.enum(["10s", "1m", "10m"]),
    samples: z.array(SampleView),
    markers: z.array(MarkerView),
  }),
);
export type SamplesAnswer = z.infer<typeof SamplesAnswer>;

/** A job that recurs. */
export const ScheduleView = component(
  "Schedule",
  "A job that recurs.",
  z.object({
    id: z.string(),
    task: z.string(),
    schedule: z.string().describe("The cron expression."),
    timeZone: z.string(),
    missed: z.string(),
    fillMs: z.number(),
    payload: JsonText,
    queueName: z.string().nullable(),
    isPaused: z.boolean(),
    pausedUntil: Time.nullable(),
    lastTick: Time.nullable(),
    nextTicks: z.array(Time).describe("The next three; none while it is paused without an end."),
    isTaskKnown: z.boolean(),
    createdAt: Time,
    updatedAt: Time,
  }),
);
export type ScheduleView = z.infer<typeof ScheduleView>;

/** The answer of `GET schedules`. */
export const SchedulesAnswer = component(
  "Schedules",
  "Every stored schedule, by id.",
  z.object({ asOf: Time, schedules: z.array(ScheduleView) }),
);
export type SchedulesAnswer = z.infer<typeof SchedulesAnswer>;

/** What one person did. */
export const ActivityView = component(
  "ActivityEntry",
  "What a person did, or tried to do.",
  z.object({
    id: Id,
    at: Time,
    who: z.string(),
    action: z.string().describe('Such as "jobs.cancel" or "queues.pause".'),
    target: z
      .record(z.string(), z.unknown())
      .describe("What it was done to: ids, names, the filter without its payload."),
    outcome: z.string().describe('"done", "begun", or the code of the error.'),
    count: Whole.nullable().describe("How many jobs were changed, as far as it is known."),
    operationId: Id.nullable(),
  }),
);
export type ActivityView = z.infer<typeof ActivityView>;

/** The answer of `GET activity`. */
export const ActivityAnswer = component(
  "Activity",
  "What people did, the newest first. Of a filter a page looks at 10,000 entries at most: it may be empty although others follow.",
  z.object({
    asOf: Time,
    activity: z.array(ActivityView),
    next: Id.nullable().describe("What to give as `before` for the next page; null when this was the last."),
  }),
);
export type ActivityAnswer = z.infer<typeof ActivityAnswer>;

/** What a live stream sends. */
export const LiveEvent = component(
  "LiveEvent",
  "The data of one event: `body` is what `GET` of the topic answers. Without `body` and `problem` nothing but `asOf` changed.",
  z.object({
    topic: z.string(),
    asOf: Time,
    body: z.unknown().optional(),
    problem: z.unknown().optional().describe("A Problem, where it could not be read."),
  }),
);
