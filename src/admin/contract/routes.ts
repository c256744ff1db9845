import { z } from "zod";
import {
  ActionAnswer,
  ActionRequest,
  OperationAnswer,
  OperationRequest,
  OperationsAnswer,
  PreviewAnswer,
  PreviewRequest,
} from "./bulk-views.ts";
import { Id, Name, type Role } from "./component.ts";
import {
  AddAnswer,
  AddRequest,
  LockAnswer,
  PauseAnswer,
  PauseRequest,
  QueueAnswer,
  QueuesAnswer,
  TaskAnswer,
  TaskSchemaAnswer,
  TasksAnswer,
} from "./group-views.ts";
import { FinishedAnswer, HistoryAnswer, HistoryFilterView, NotesAnswer } from "./history-views.ts";
import { ErrorsAnswer, JobAnswer, JobFilterView, JobPageAnswer, WhyAnswer } from "./job-views.ts";
import {
  ActivityAnswer,
  DoctorAnswer,
  OverviewAnswer,
  SamplesAnswer,
  ScheduleView,
  SchedulesAnswer,
  SessionAnswer,
} from "./overview-views.ts";
import { SweptView, SweepBody, UnlockAnswer, UnlockRequest, WorkerAnswer, WorkersAnswer } from "./worker-views.ts";

/**
 * Every route of the API, by its operation id. Paths are behind `/api/v1`; a
 * part that begins with a colon is a parameter.
 */
export const ROUTES = {
  session: read("/session", "Who asks, and what this page is about.", {
    response: SessionAnswer,
    isLive: false,
  }),
  overview: read("/overview", "Everything at a glance.", { response: OverviewAnswer }),
  samples: read("/samples", "What workers counted over time.", { query: samplesQuery(), response: SamplesAnswer }),
  listJobs: read("/jobs", "One page of jobs.", { query: jobsQuery(), response: JobPageAnswer }),
  getJob: read("/jobs/:id", "One job.", { params: z.object({ id: Id }), response: JobAnswer }),
  explainJob: read("/jobs/:id/why", "Why a job does not run.", { params: z.object({ id: Id }), response: WhyAnswer }),
  jobNotes: read("/jobs/:id/notes", "Failed attempts of a job, how far it is, and its log.", {
    params: z.object({ id: Id }),
    response: NotesAnswer,
  }),
  history: read("/history", "One page of finished jobs.", { query: historyQuery(), response: HistoryAnswer }),
  getFinishedJob: read("/history/:id", "One finished job.", {
    params: z.object({ id: Id }),
    response: FinishedAnswer,
  }),
  errors: read("/errors", "The errors of jobs that failed for good.", { query: errorsQuery(), response: ErrorsAnswer }),
  listQueues: read("/queues", "One page of queues.", { query: queuesQuery(), response: QueuesAnswer }),
  getQueue: read("/queues/:name", "One queue and its next jobs.", { params: named(), response: QueueAnswer }),
  getLock: read("/queues/:name/lock", "Who holds a queue.", { params: named(), response: LockAnswer }),
  listTasks: read("/tasks", "The tasks.", { response: TasksAnswer }),
  getTask: read("/tasks/:name", "One task.", { params: named(), response: TaskAnswer }),
  getTaskSchema: read("/tasks/:name/schema", "What its payload must be.", {
    params: named(),
    response: TaskSchemaAnswer,
  }),
  listWorkers: read("/workers", "The workers.", { response: WorkersAnswer }),
  getWorker: read("/workers/:name", "One worker.", { params: named(), response: WorkerAnswer }),
  listSchedules: read("/schedules", "The stored schedules.", { response: SchedulesAnswer }),
  doctor: read("/doctor", "What the doctor finds.", { response: DoctorAnswer }),
  activity: read("/activity", "What people did.", { query: activityQuery(), response: ActivityAnswer }),
  listOperations: read("/operations", "The bulk operations.", { response: OperationsAnswer }),
  getOperation: read("/operations/:id", "One bulk operation.", {
    params: z.object({ id: Id }),
    response: OperationAnswer,
  }),

  addJob: write("operate", "/jobs", "Adds a job.", { body: AddRequest, response: AddAnswer, status: 201 }),
  changeJobs: write("operate", "/jobs/actions", "Changes jobs by their ids.", {
    body: ActionRequest,
    response: ActionAnswer,
  }),
  preview: write("operate", "/jobs/preview", "Says what an operation would do.", {
    body: PreviewRequest,
    response: PreviewAnswer,
  }),
  startOperation: write("operate", "/operations", "Begins what a preview showed.", {
    body: OperationRequest,
    response: OperationAnswer,
    status: 202,
  }),
  pauseOperation: write("operate", "/operations/:id/pause", "Pauses an operation after its present batch.", {
    params: z.object({ id: Id }),
    response: OperationAnswer,
  }),
  resumeOperation: write("operate", "/operations/:id/resume", "Goes on with an operation.", {
    params: z.object({ id: Id }),
    response: OperationAnswer,
    status: 202,
  }),
  stopOperation: write("operate", "/operations/:id/stop", "Ends an operation for good; what was done stays done.", {
    params: z.object({ id: Id }),
    response: OperationAnswer,
  }),
  pauseQueue: write("operate", "/queues/:name/pause", "Lets no further job of a queue start.", {
    params: named(),
    body: PauseRequest,
    response: PauseAnswer,
  }),
  resumeQueue: write("operate", "/queues/:name/resume", "Ends the pause of a queue.", {
    params: named(),
    response: PauseAnswer,
  }),
  unlockQueue: write("admin", "/queues/:name/unlock", "Unlocks by force all that the holder of a queue holds.", {
    params: named(),
    response: UnlockAnswer,
  }),
  pauseTask: write("operate", "/tasks/:name/pause", "Lets no further job of a task start.", {
    params: named(),
    body: PauseRequest,
    response: PauseAnswer,
  }),
  resumeTask: write("operate", "/tasks/:name/resume", "Ends the pause of a task.", {
    params: named(),
    response: PauseAnswer,
  }),
  pauseSchedule: write("operate", "/schedules/:name/pause", "Adds no jobs of a schedule.", {
    params: named(),
    body: PauseRequest,
    response: ScheduleView,
  }),
  resumeSchedule: write("operate", "/schedules/:name/resume", "Ends the pause of a schedule.", {
    params: named(),
    response: ScheduleView,
  }),
  triggerSchedule: write("operate", "/schedules/:name/trigger", "Adds a job of a schedule now.", {
    params: named(),
    response: AddAnswer,
    status: 201,
  }),
  sweepWorkers: write("admin", "/workers/sweep", "Recovers, once and now, what silent workers hold.", {
    body: SweepBody,
    response: SweptView,
  }),
  unlockWorkers: write("admin", "/workers/unlock", "Unlocks by force all that workers hold.", {
    body: UnlockRequest,
    response: UnlockAnswer,
  }),
} as const satisfies Readonly<Record<string, Route>>;

/** The name of a route. */
export type RouteName = keyof typeof ROUTES;

/** What a route takes and answers. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** What a person needs at least. */
  readonly role: Role;
  readonly summary: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  readonly response: z.ZodType;
  /** Of an answer that is no problem. */
  readonly status?: number;
  /** Whether it can be a topic of the live stream. Default: every `GET`. */
  readonly isLive?: boolean;
}

type Parts = Pick<Route, "params" | "query" | "body" | "response" | "status" | "isLive">;

function read<P extends Parts>(path: string, summary: string, parts: P) {
  return { method: "GET", path, role: "read", summary, ...parts } as const;
}

// oxlint-disable-next-line max-params -- a row of the table
function write<P extends Parts>(role: Role, path: string, summary: string, parts: P) {
  return { method: "POST", path, role, summary, ...parts } as const;
}

function named() {
  return z.object({ name: Name });
}

function limit(most: number, usual: number) {
  return z.coerce.number().int().min(1).max(most).default(usual);
}

function flag() {
  return z.enum(["true", "false"]).transform((text) => text === "true");
}

function jobsQuery() {
  return z.strictObject({
    ...JobFilterView.shape,
    backward: flag().optional().describe("The last first, in the order of the list."),
    after: z.string().max(400).optional().describe("The `next` of the page before."),
    limit: limit(500, 50),
  });
}

function historyQuery() {
  return z.strictObject({
    ...HistoryFilterView.shape,
    after: z.string().max(400).optional().describe("The `next` of the page before."),
    limit: limit(500, 50),
  });
}

function errorsQuery() {
  return z.strictObject({ task: Name.optional(), queueName: Name.optional(), limit: limit(500, 100) });
}

function queuesQuery() {
  return z.strictObject({
    search: Name.optional().describe("A part of the name."),
    isPaused: flag().optional(),
    isLocked: flag().optional(),
    hasJobs: flag().optional(),
    after: Name.optional(),
    limit: limit(500, 50),
  });
}

function samplesQuery() {
  return z.strictObject({
    since: z.iso.datetime({ offset: true }).optional(),
    resolution: z.enum(["10s", "1m", "10m"]).default("10s"),
    limit: limit(2_000, 360),
    top: z.coerce.number().int().min(0).max(50).default(10).describe("How many tasks and queues of each sample."),
  });
}

function activityQuery() {
  return z.strictObject({
    before: Id.optional().describe("The `next` of the page before."),
    jobId: Id.optional().describe("What was done to this job, as far as its id was given."),
    limit: limit(500, 100),
  });
}
