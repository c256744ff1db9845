import type { OperationView, PreviewAnswer } from "../../src/admin/contract/bulk-views.ts";
import type { CountView } from "../../src/admin/contract/component.ts";
import type {
  LockAnswer,
  QueueAnswer,
  QueueLimitsView,
  QueuesAnswer,
  QueueView,
  TaskAnswer,
  TaskSchemaAnswer,
  TasksAnswer,
  TaskView,
} from "../../src/admin/contract/group-views.ts";
import type {
  FinishedAnswer,
  FinishedRow,
  HistoryAnswer,
  NotesAnswer,
} from "../../src/admin/contract/history-views.ts";
import type {
  ErrorsAnswer,
  JobAnswer,
  JobPageAnswer,
  JobRow,
  JobView,
  WhyAnswer,
} from "../../src/admin/contract/job-views.ts";
import type {
  ActivityAnswer,
  DoctorAnswer,
  FindingView,
  OverviewAnswer,
  SamplesAnswer,
  SchedulesAnswer,
  ScheduleView,
  SessionAnswer,
} from "../../src/admin/contract/overview-views.ts";
import type { WorkersAnswer, WorkerView } from "../../src/admin/contract/worker-views.ts";

/** The moment at which all of this was read. */
export const NOW = Date.UTC(2026, 10, 30, 12, 0, 7);

/** A time `seconds` away from it, as answers have it. */
export function at(seconds: number): string {
  return new Date(NOW + seconds * 1_000).toISOString();
}

const asOf = at(0);

/** A number, exact unless it is said to be an estimate. */
export function count(value: number, exact = true): CountView {
  return { value, exact, asOf };
}

export const session: SessionAnswer = {
  name: "ada",
  role: "admin",
  tasks: null,
  queues: null,
  readOnly: false,
  environment: { name: "production", colour: "#b91c1c" },
  schema: "howdah",
  version: "0.1.0",
  hasTraces: true,
  isRedacted: true,
  serverTime: asOf,
};

const findings: readonly FindingView[] = [
  {
    id: "D17",
    title: "Tasks without a worker",
    status: "fail",
    finding: "resize_image: 412 due, no live worker runs it.",
    means: "Jobs of this task wait until a worker is started that knows it.",
    todo: "Start a worker with this task, or correct its name where jobs are added.",
    guide: "https://example.com/guides/tasks",
  },
  {
    id: "D09",
    title: "Old snapshots",
    status: "warn",
    finding: "Session 4711 (metabase) holds back vacuum for 41 min.",
    means: "Dead rows cannot be removed, and claims read more pages.",
    todo: "End the transaction of that session.",
    guide: "https://example.com/guides/vacuum",
  },
];

export const overview: OverviewAnswer = {
  asOf,
  status: "fail",
  sentence: "2 things need you.",
  needs: [...findings],
  needsAsOf: asOf,
  counts: {
    ready: count(3_512_345, false),
    scheduled: count(1_099_000, false),
    running: count(19),
    failed: count(400_808, false),
  },
  oldestDueMs: 7_620_512,
  workers: { count: 4, stale: 1, slots: 24, busy: 19, longestRunMs: 192_000 },
  rates: { addedPerSecond: 790.4, finishedPerSecond: 812.1, overSeconds: 60 },
  lastHour: { completed: 2_900_000, attemptsFailed: 5_837 },
  times: { meanMs: 41, p50Ms: 32, p95Ms: 256, waitP50Ms: 64, waitP95Ms: 4_096 },
  tasks: [
    ["resize_image", 412, 7_620_512],
    ["send_email", 3_412_000, 128_000],
    ["import_csv", 84, 61_000],
    ["sync_customer_to_warehouse_and_notify", 12_402, 42_000],
    ["charge_card", 7, 900],
  ].map(([name, jobCount, oldestMs]) => ({
    name: String(name),
    jobCount: Number(jobCount),
    oldestMs: Number(oldestMs),
  })),
  queues: [
    ["tenant-7", 14, 661_000],
    ["tenant-81", 1_000, 90_000],
    ["invoices", 3, 4_100],
  ].map(([name, jobCount, oldestMs]) => ({
    name: String(name),
    jobCount: Number(jobCount),
    oldestMs: Number(oldestMs),
  })),
  pauses: { tasks: 0, queues: 1 },
  sampleAt: at(-7),
};

export const samples: SamplesAnswer = {
  asOf,
  resolution: "10s",
  samples: Array.from({ length: 360 }, (_, index) => {
    const wave = Math.sin(index / 30);
    return {
      at: at((index - 359) * 10 - 7),
      ready: Math.round(2_400_000 + index * 3_100 + wave * 300_000),
      scheduled: Math.round(1_000_000 + index * 250 - wave * 90_000),
      running: 19,
      failed: 380_000 + index * 58,
      workers: index < 200 ? 3 : 4,
      slots: index < 200 ? 18 : 24,
      busy: Math.round(15 + wave * 4),
      deadRows: 12_000,
      oldestDueMs: 7_000_000 + index * 1_700,
      oldestSnapshotMs: null,
      addedPerSecond: Math.round(790 + wave * 80),
      finishedPerSecond: Math.round(812 - wave * 60),
      tasks: overview.tasks.map((one) => ({ ...one, jobCount: Math.round(one.jobCount * (0.5 + index / 720)) })),
      queues: overview.queues,
    };
  }),
  markers: [
    { at: at(-1_500), kind: "queues.pause", text: "ada paused the queue invoices" },
    { at: at(-1_597), kind: "workers.started", text: "1 worker started: release 0.1.0 on web-4" },
    { at: at(-900), kind: "workers.fewer", text: "1 worker fewer: ended, or died; 3 left" },
    { at: at(-600), kind: "operations.start", text: 'ben: start of operation "retry"' },
  ],
};

const TASKS = ["send_email", "import_csv", "charge_card", "resize_image", "sync_customer_to_warehouse_and_notify"];

/** A job in a list. */
export function jobRow(id: number, changes: Partial<JobRow> = {}): JobRow {
  return {
    id: String(id),
    task: TASKS[id % TASKS.length] ?? "send_email",
    queueName: id % 3 === 0 ? `tenant-${id % 90}` : null,
    state: "ready",
    priority: 0,
    runAt: at(-id % 600),
    attempts: id % 4,
    maxAttempts: 25,
    jobKey: id % 5 === 0 ? `mail:${id}` : null,
    error: null,
    createdAt: at(-900 - id),
    updatedAt: at(-60),
    lockedAt: null,
    lockedBy: null,
    isPaused: false,
    ...changes,
  };
}

const jobPage: JobPageAnswer = {
  asOf,
  jobs: Array.from({ length: 50 }, (_, index) => {
    const id = 5_000_050 - index;
    if (index % 7 === 0)
      return jobRow(id, { state: "failed", attempts: 25, error: "TypeError: order.lines is not iterable" });
    if (index % 7 === 1) return jobRow(id, { state: "running", attempts: 1, lockedBy: "w_3", lockedAt: at(-12) });
    if (index % 7 === 2)
      return jobRow(id, {
        state: "scheduled",
        runAt: at(3_600 + index),
        error: "Error: connect ECONNREFUSED 10.0.0.7:25",
        attempts: 2,
      });
    if (index % 7 === 4) return jobRow(id, { isPaused: true, queueName: "invoices" });
    return jobRow(id);
  }),
  next: "WyJmIl0",
  searched: null,
};

const errors: ErrorsAnswer = {
  asOf,
  errors: [
    {
      message: "TypeError: order.lines is not iterable",
      jobCount: count(6_668),
      oldestAt: at(-3_600),
      newestId: "4999981",
      newestAt: at(-120),
      tasks: ["import_csv", "send_email"],
      byTask: [
        { task: "import_csv", count: 6_600 },
        { task: "send_email", count: 68 },
      ],
    },
    {
      message: "Error: connect ECONNREFUSED 10.0.0.7:25",
      jobCount: count(812),
      oldestAt: at(-7_000),
      newestId: "4990112",
      newestAt: at(-4_000),
      tasks: ["send_email"],
      byTask: [{ task: "send_email", count: 812 }],
    },
    {
      message: "",
      jobCount: count(3),
      oldestAt: at(-91_000),
      newestId: "17",
      newestAt: at(-90_000),
      tasks: ["charge_card"],
      byTask: [{ task: "charge_card", count: 3 }],
    },
  ],
  searchedTo: "4100000",
};

const ERROR = `TypeError: order.lines is not iterable
    at totalOf (/srv/app/src/orders/total.ts:41:22)
    at importCsv (/srv/app/src/tasks/import-csv.ts:18:9)
    at runHandler (/srv/app/node_modules/howdah/dist/job/execute/run-handler.js:52:20)
    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)`;

export const job: JobView = {
  ...jobRow(42, {
    state: "ready",
    task: "send_email",
    queueName: "tenant-7",
    jobKey: "mail:77",
    attempts: 3,
    error: "TypeError: order.lines is not iterable",
    createdAt: at(-1_200),
    updatedAt: at(-560),
    runAt: at(-540),
  }),
  payload: {
    text: '{"to":"ada@example.com","order":{"id":9007199254740993,"total":12.50,"lines":[{"sku":"A-1","n":2},{"sku":"B-7","n":1}]},"card":"[redacted]","note":null,"isTest":false}',
    bytes: 412,
    isTruncated: false,
    isRedacted: true,
  },
  lastError: ERROR,
  revision: 2,
  flags: ["billing"],
  timeoutMs: 30_000,
  taskPausedUntil: null,
  queuePausedUntil: null,
  traceUrl: "https://traces.example.com/4bf92f3577b34da6a3ce929d0e0e4736",
};

const jobAnswer: JobAnswer = { asOf, job };

const notes: NotesAnswer = {
  asOf,
  attempts: [
    {
      attempt: 1,
      startedAt: at(-1_100),
      failedAt: at(-1_090),
      workerId: "w_1",
      error: "Error: connect ECONNREFUSED 10.0.0.7:25",
      stack: "Error: connect ECONNREFUSED 10.0.0.7:25\n    at send (/srv/app/src/mail/send.ts:12:9)",
    },
    {
      attempt: 2,
      startedAt: at(-570),
      failedAt: at(-560),
      workerId: "w_3",
      error: "TypeError: order.lines is not iterable",
      stack: ERROR,
    },
  ],
  progress: {
    value: { text: '{"done":40,"of":120}', bytes: 20, isTruncated: false, isRedacted: false },
    at: at(-561),
  },
  lines: [
    { at: at(-565), attempt: 2, message: "Connected", fields: null },
    {
      at: at(-562),
      attempt: 2,
      message: "Sent the first 40",
      fields: { text: '{"host":"mail.example.com"}', bytes: 27, isTruncated: false, isRedacted: false },
    },
  ],
};

/** A finished job in a list. */
function finishedRow(id: number, changes: Partial<FinishedRow> = {}): FinishedRow {
  return {
    id: String(id),
    task: "send_email",
    queueName: "tenant-7",
    state: "completed",
    jobKey: null,
    attempts: 1,
    maxAttempts: 25,
    createdAt: at(-3_700),
    startedAt: at(-3_604),
    finishedAt: at(-3_600),
    workerId: "w_1",
    error: null,
    ...changes,
  };
}

const history: HistoryAnswer = {
  asOf,
  jobs: [
    finishedRow(41, { jobKey: "mail:76" }),
    finishedRow(40, {
      state: "failed",
      task: "import_csv",
      attempts: 25,
      error: "TypeError: order.lines is not iterable",
    }),
    finishedRow(38, { state: "cancelled", startedAt: null, attempts: 0, error: "the customer withdrew" }),
    finishedRow(37, { state: "removed", startedAt: null, attempts: 0 }),
  ],
  next: "MTcz",
};

const finished: FinishedAnswer = {
  asOf,
  job: {
    ...finishedRow(41, { jobKey: "mail:76", attempts: 2 }),
    priority: 0,
    runAt: at(-3_700),
    payload: { text: '{"to":"ada@example.com"}', bytes: 24, isTruncated: false, isRedacted: false },
    result: { text: '{"messageId":"a1b2"}', bytes: 20, isTruncated: false, isRedacted: false },
    lastError: null,
  },
};

export const why: WhyAnswer = {
  asOf,
  id: "42",
  reasons: [
    {
      code: "queue_locked",
      message:
        "Its queue tenant-7 is held by worker w_3 (alive, heartbeat 1 s ago) for 11 min, running job 39 import_csv.",
      remedy:
        "It starts when the jobs before it are done. Unlock the queue by force only if the worker is known to be gone.",
      workerId: "w_3",
      jobId: "39",
    },
    {
      code: "not_first",
      message: "14 jobs of the queue are before it.",
      remedy: "Nothing has to be done.",
      jobsBefore: 14,
    },
  ],
};

/** A queue. */
export function queueView(name: string, changes: Partial<QueueView> = {}): QueueView {
  return {
    name,
    jobCount: count(14),
    readyCount: count(13),
    lockedAt: null,
    lockedBy: null,
    isPaused: false,
    pausedUntil: null,
    limits: null,
    ...changes,
  };
}

/** What rules leave to a queue. */
export function limitsView(changes: Partial<QueueLimitsView> = {}): QueueLimitsView {
  return {
    rule: "crm:*",
    concurrency: 5,
    running: 5,
    rate: { limit: 100, perMs: 60_000, burst: 20 },
    nextStartAt: null,
    parkedUntil: null,
    share: 3,
    pool: "crm-api",
    isWaiting: false,
    ...changes,
  };
}

const queues: QueuesAnswer = {
  asOf,
  queues: [
    queueView("invoices", { isPaused: true, pausedUntil: at(3_000) }),
    queueView("tenant-7", { lockedAt: at(-661), lockedBy: "w_3" }),
    queueView("tenant-81", {
      jobCount: count(1_000, false),
      readyCount: count(1_000, false),
      lockedAt: at(-3),
      lockedBy: "w_1",
    }),
    queueView("crm:acme", { limits: limitsView() }),
    queueView("crm:tail", { limits: limitsView({ running: 1, parkedUntil: at(25), nextStartAt: at(12) }) }),
    queueView("mail", { limits: limitsView({ rule: "mail", concurrency: null, running: 12, share: 1, pool: null }) }),
    queueView("a/b c", { jobCount: count(0), readyCount: count(0) }),
    ...Array.from({ length: 12 }, (_, index) =>
      queueView(`tenant-${100 + index}`, { jobCount: count(index * 3), readyCount: count(index) }),
    ),
  ],
  next: "tenant-111",
};

/** A worker that is at work. */
export function workerView(id: string, changes: Partial<WorkerView> = {}): WorkerView {
  return {
    id,
    startedAt: at(-86_400),
    lastHeartbeatAt: at(-1),
    session: "held",
    isStale: false,
    report: {
      version: "0.1.0",
      host: "app-3.internal",
      pid: 4_711,
      runsSince: at(-86_400),
      slots: 6,
      busy: 5,
      cached: 12,
      localQueueSize: 50,
      detached: 0,
      unwritten: 0,
      locked: 17,
      tasks: ["send_email", "import_csv", "charge_card"],
      moreTasks: 0,
      forbiddenFlags: [],
      running: [
        { id: "39", task: "import_csv", queueName: "tenant-7", since: at(-661) },
        { id: "5000049", task: "send_email", queueName: null, since: at(-0.2) },
        { id: "5000042", task: "send_email", queueName: null, since: at(-0.1) },
        { id: "5000035", task: "charge_card", queueName: "tenant-2", since: at(-12) },
        { id: "5000028", task: "import_csv", queueName: null, since: at(-75) },
      ],
      moreRunning: 0,
      claims: { fullScanAgeMs: 420, nextFullScanMs: 580, nextQueueScanMs: 900, failingSince: null, lastError: null },
      isRetired: false,
      isStopping: false,
    },
    ...changes,
  };
}

const w1 = workerView("w_1");

const workers: WorkersAnswer = {
  asOf,
  workers: [
    w1,
    workerView("w_3"),
    workerView("w_4", {
      lastHeartbeatAt: at(-14),
      session: "lost",
      isStale: true,
      report: w1.report && { ...w1.report, host: "app-4.internal", busy: 1, running: w1.report.running.slice(3, 4) },
    }),
    workerView("w_5", {
      report: w1.report && {
        ...w1.report,
        host: "app-5.internal",
        busy: 0,
        running: [],
        claims: { ...w1.report.claims, failingSince: at(-95), lastError: 'permission denied for function "..."' },
      },
    }),
    workerView("node-pool-9", { report: null, session: "none" }),
  ],
};

/** A task. */
export function taskView(name: string, changes: Partial<TaskView> = {}): TaskView {
  return {
    name,
    ready: count(84),
    scheduled: count(12),
    running: count(3),
    failed: count(40),
    oldestDueMs: 61_000,
    workers: 3,
    isPaused: false,
    pausedUntil: null,
    completed: 41_000,
    attemptsFailed: 82,
    meanMs: 38,
    p50Ms: 32,
    p95Ms: 128,
    waitP50Ms: 64,
    waitP95Ms: 4_096,
    ...changes,
  };
}

const tasks: TasksAnswer = {
  asOf,
  tasks: [
    taskView("resize_image", {
      ready: count(412),
      workers: 0,
      completed: 0,
      attemptsFailed: 0,
      oldestDueMs: 7_620_512,
      meanMs: null,
      p50Ms: null,
      p95Ms: null,
      waitP50Ms: null,
      waitP95Ms: null,
    }),
    taskView("send_email", {
      ready: count(3_412_000, false),
      running: count(14),
      failed: count(393_000, false),
      oldestDueMs: 128_000,
    }),
    taskView("import_csv", { meanMs: 21_000, p50Ms: 16_384, p95Ms: null, isPaused: true }),
    taskView("charge_card"),
    taskView("sync_customer_to_warehouse_and_notify", { ready: count(12_402) }),
  ],
};

export const task: TaskAnswer = {
  asOf,
  task: taskView("send_email", { ready: count(3_412_000, false) }),
  samples: Array.from({ length: 60 }, (_, index) => ({
    at: at((index - 60) * 60),
    task: "send_email",
    completed: Math.round(600 + Math.sin(index / 5) * 200),
    failed: index % 9,
    runMs: 24_000,
    meanMs: 38,
    p50Ms: 32,
    p95Ms: 128,
    waitP50Ms: 64,
    waitP95Ms: 4_096,
  })),
  workerIds: ["w_1", "w_3"],
  lastFailed: jobRow(4_999_981, { state: "failed", error: "TypeError: order.lines is not iterable" }),
  nearest: null,
};

const taskSchema: TaskSchemaAnswer = {
  task: "send_email",
  isKnown: true,
  isBatch: false,
  schema: JSON.stringify({
    type: "object",
    properties: {
      to: { type: "string", format: "email", description: "who gets it" },
      template: { enum: ["welcome", "invoice"] },
      attachments: { type: "array", items: { type: "object", properties: { name: { type: "string" } } } },
    },
    required: ["to", "template"],
  }),
};

const queue: QueueAnswer = {
  asOf,
  queue: queueView("tenant-7", { lockedAt: at(-661), lockedBy: "w_3" }),
  jobs: Array.from({ length: 12 }, (_, index) => jobRow(40 + index, { queueName: "tenant-7" })),
};

export const lock: LockAnswer = {
  asOf,
  queue: queue.queue,
  sentence: "Held by w_3, alive 1 s ago, for 11 min.",
  state: "held",
  heldForMs: 661_000,
  freedInMs: null,
  holder: workerView("w_3"),
  pool: null,
  running: [{ id: "39", task: "import_csv", queueName: "tenant-7", since: at(-661) }],
  chain: [
    jobRow(39, { queueName: "tenant-7", state: "running", task: "import_csv", lockedBy: "w_3", lockedAt: at(-661) }),
    jobRow(40, { queueName: "tenant-7", lockedBy: "w_3" }),
    jobRow(41, { queueName: "tenant-7", lockedBy: "w_3" }),
  ],
  waiting: { count: count(11), oldest: jobRow(42, { queueName: "tenant-7" }), oldestDueMs: 540_000 },
  promise:
    "Jobs of this queue run one after another. If w_3 still runs job 39, another worker will run it, or the next one, at the same time.",
};

const ruledQueue = queueView("crm:acme", { limits: limitsView() });

/** A queue with rules, of which as many jobs run as may. */
export const ruledLock: LockAnswer = {
  ...lock,
  queue: ruledQueue,
  sentence: "Full: 5 of at most 5 jobs run.",
  state: "full",
  heldForMs: null,
  holder: null,
  pool: { name: "crm-api", concurrency: 50, running: 41, nextStartAt: null },
  running: [51, 52, 53, 54, 55].map((id) => ({
    id: String(id),
    task: "sync_contact",
    queueName: "crm:acme",
    since: at(-id / 5),
  })),
  chain: [51, 52, 53, 54, 55].map((id) =>
    jobRow(id, {
      queueName: "crm:acme",
      state: "running",
      task: "sync_contact",
      lockedBy: `w_${id % 3}`,
      lockedAt: at(-id / 5),
    }),
  ),
  waiting: { count: count(9), oldest: jobRow(56, { queueName: "crm:acme" }), oldestDueMs: 9_000 },
};

/** A schedule. */
function scheduleView(id: string, changes: Partial<ScheduleView> = {}): ScheduleView {
  return {
    id,
    task: "send_report",
    schedule: "0 8 * * 1-5",
    timeZone: "Europe/Berlin",
    missed: "once",
    fillMs: 86_400_000,
    payload: { text: '{"kind":"daily"}', bytes: 16, isTruncated: false, isRedacted: false },
    queueName: null,
    isPaused: false,
    pausedUntil: null,
    lastTick: at(-18_007),
    nextTicks: [at(68_393), at(154_793), at(241_193)],
    isTaskKnown: true,
    createdAt: at(-9_000_000),
    updatedAt: at(-9_000_000),
    ...changes,
  };
}

const schedules: SchedulesAnswer = {
  asOf,
  schedules: [
    scheduleView("daily-report"),
    scheduleView("clean-up", {
      task: "clean_up",
      schedule: "*/15 * * * *",
      timeZone: "UTC",
      isPaused: true,
      nextTicks: [],
    }),
    scheduleView("gone", { task: "no_such_task", schedule: "0 0 1 * *", timeZone: "UTC", isTaskKnown: false }),
  ],
};

const doctor: DoctorAnswer = {
  asOf,
  status: "fail",
  results: [
    ...findings,
    ...["Migrations", "Clock", "Heartbeats", "Autovacuum"].map((title, index) => ({
      id: `D${30 + index}`,
      title,
      status: index === 2 ? ("unseen" as const) : ("ok" as const),
      finding:
        index === 2 ? "Cannot see what other roles do: grant pg_read_all_stats to this role." : "As it should be.",
      means: "What follows when something is wrong.",
      todo: "What to do then.",
      guide: "https://example.com/guides/doctor",
    })),
  ],
};

const activity: ActivityAnswer = {
  asOf,
  activity: [
    {
      id: "9",
      at: at(-30),
      who: "ada",
      action: "operations.begin",
      target: { action: "retry", filter: { state: "failed", task: "send_email" } },
      outcome: "begun",
      count: 6_668,
      operationId: "7",
    },
    {
      id: "8",
      at: at(-1_500),
      who: "ada",
      action: "queues.pause",
      target: { queue: "invoices" },
      outcome: "done",
      count: null,
      operationId: null,
    },
    {
      id: "7",
      at: at(-4_000),
      who: "ben",
      action: "jobs.cancel",
      target: { ids: ["41", "42"] },
      outcome: "done",
      count: 2,
      operationId: null,
    },
    {
      id: "6",
      at: at(-90_000),
      who: "eve",
      action: "queues.unlock",
      target: { queue: "tenant-7" },
      outcome: "HOWDAH_ADMIN_FORBIDDEN",
      count: null,
      operationId: null,
    },
  ],
  next: null,
};

/** A bulk change under way. */
export function operationView(changes: Partial<OperationView> = {}): OperationView {
  return {
    id: "7",
    action: "retry",
    state: "running",
    isStalled: false,
    filter: { state: "failed", task: "send_email" },
    expected: 6_668,
    matched: 2_500,
    changed: 2_491,
    signalled: 0,
    undo: null,
    who: "ada",
    createdAt: at(-30),
    updatedAt: at(-1),
    ...changes,
  };
}

const operations = {
  asOf,
  operations: [
    operationView(),
    operationView({ id: "6", action: "cancel", state: "paused", isStalled: false, expected: null, who: null }),
    operationView({ id: "5", state: "done", matched: 812, changed: 812, expected: 812 }),
    operationView({ id: "4", isStalled: true, action: "remove" }),
  ],
};

export const preview: PreviewAnswer = {
  asOf,
  action: "retry",
  sentence: "Retry 6,668 jobs of 2 tasks",
  matched: count(6_668),
  byState: { ready: 0, scheduled: 0, running: 0, failed: 6_668 },
  byTask: [
    { task: "send_email", count: 6_000 },
    { task: "import_csv", count: 668 },
  ],
  untouched: [{ reason: "They run: a job that runs can only be cancelled.", count: count(19) }],
  sample: [1, 2, 3].map((id) => jobRow(id, { state: "failed", error: "TypeError: order.lines is not iterable" })),
  undo: "Jobs that were retried can be failed again by their ids.",
  confirm: "6668",
  token: "token",
  expiresAt: at(600),
};

/** What the API answers under each path without its conditions. */
export const ANSWERS: Readonly<Record<string, unknown>> = {
  session,
  overview,
  samples,
  jobs: jobPage,
  "jobs/42": jobAnswer,
  "jobs/42/why": why,
  "jobs/42/notes": notes,
  history,
  "history/41": finished,
  "jobs/41/notes": { ...notes, attempts: notes.attempts.slice(0, 1), progress: null, lines: [] },
  errors,
  queues,
  "queues/tenant-7": queue,
  "queues/tenant-7/lock": lock,
  "queues/crm%3Aacme": { ...queue, queue: ruledQueue },
  "queues/crm%3Aacme/lock": ruledLock,
  tasks,
  "tasks/send_email": task,
  "tasks/send_email/schema": taskSchema,
  workers,
  "workers/w_3": { asOf, worker: workerView("w_3") },
  schedules,
  doctor,
  activity,
  operations,
  "operations/7": { asOf, operation: operationView() },
};
