/**
 * The metrics of Howdah, all of them: the exporters render this table, and the
 * dashboard, the alert rules and the guide are checked against it.
 *
 * Names are those of Prometheus; `otel` is the name of the same metric in
 * OpenTelemetry, where a convention of `messaging.*` fits, that one. Times are in
 * seconds. Labels are bounded: tasks by {@link TaskLabels}, pools by how many are
 * read, all others by a list. Queues, ids, keys and messages are never labels.
 */
export const METRICS = {
  howdah_jobs_added_total: {
    type: "counter",
    labels: ["task"],
    otel: "messaging.client.sent.messages",
    help: "Jobs that this process has added.",
  },
  howdah_jobs_finished_total: {
    type: "counter",
    labels: ["task", "outcome"],
    otel: "howdah.jobs.finished",
    help: "Attempts that have ended, by outcome.",
  },
  howdah_claims_total: {
    type: "counter",
    labels: ["result"],
    otel: "howdah.claims",
    help: "Claims, by what they brought: jobs, nothing (empty) or an error.",
  },
  howdah_workers_recovered_total: {
    type: "counter",
    labels: [],
    otel: "howdah.workers.recovered",
    help: "Dead workers whose jobs this process has returned.",
  },
  howdah_jobs_recovered_total: {
    type: "counter",
    labels: [],
    otel: "howdah.jobs.recovered",
    help: "Jobs of dead workers that this process has returned.",
  },
  howdah_worker_errors_total: {
    type: "counter",
    labels: [],
    otel: "howdah.worker.errors",
    help: "Failures in the background of a worker, such as a lost connection.",
  },
  howdah_job_wait_seconds: {
    type: "histogram",
    labels: ["task"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
    otel: "howdah.job.wait.duration",
    help: "From when a job was due, or was added if that was later, to the start of its handler, of attempts that have ended.",
  },
  howdah_job_run_seconds: {
    type: "histogram",
    labels: ["task", "result"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
    otel: "messaging.process.duration",
    help: "How long handlers ran: ok when the job completed or was snoozed, error for all other ends.",
  },
  howdah_job_attempts: {
    type: "histogram",
    labels: ["task"],
    buckets: [1, 2, 3, 5, 10, 25],
    otel: "howdah.job.attempts",
    help: "How many attempts a job had when it completed, failed for good or was cancelled.",
  },
  howdah_claim_seconds: {
    type: "histogram",
    labels: [],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    otel: "messaging.client.operation.duration",
    help: "How long the statements of claims took, with the outcomes that they wrote.",
  },
  howdah_slots: {
    type: "gauge",
    labels: [],
    otel: "howdah.slots",
    help: "How many jobs the running workers of this process can run at once.",
  },
  howdah_slots_busy: {
    type: "gauge",
    labels: [],
    otel: "howdah.slots.busy",
    help: "How many jobs they run.",
  },
  howdah_local_queue_jobs: {
    type: "gauge",
    labels: [],
    otel: "howdah.local_queue.jobs",
    help: "Claimed jobs that wait in memory for a slot.",
  },
  howdah_detached_handlers: {
    type: "gauge",
    labels: [],
    otel: "howdah.detached_handlers",
    help: "Handlers that go on although they were told to stop.",
  },
  howdah_unwritten_outcomes: {
    type: "gauge",
    labels: [],
    otel: "howdah.unwritten_outcomes",
    help: "Attempts that have ended and are not written yet.",
  },
  howdah_stuck_outcomes: {
    type: "gauge",
    labels: [],
    otel: "howdah.stuck_outcomes",
    help: "Outcomes that cannot be written although others can.",
  },
  howdah_full_scan_age_seconds: {
    type: "gauge",
    labels: [],
    otel: "howdah.full_scan.age",
    help: "How long ago a worker last looked at the jobs from the first one on; the worst of this process.",
  },
  howdah_heartbeat_age_seconds: {
    type: "gauge",
    labels: [],
    otel: "howdah.heartbeat.age",
    help: "How long ago the last heartbeat was sent that was answered; the worst of this process.",
  },
  howdah_listener_up: {
    type: "gauge",
    labels: [],
    otel: "howdah.listener.up",
    help: "1 while every worker of this process that listens for notifications has a session for that, else 0.",
  },
  howdah_queue_jobs: {
    type: "gauge",
    labels: ["state"],
    otel: "howdah.queue.jobs",
    help: "Jobs in the table, by state; an estimate above some ten thousand.",
  },
  howdah_task_jobs: {
    type: "gauge",
    labels: ["task", "state"],
    otel: "howdah.task.jobs",
    help: "Jobs in the table, by task and state, for the tasks with the most jobs; an estimate in a large table.",
  },
  howdah_pool_jobs: {
    type: "gauge",
    labels: ["pool"],
    otel: "howdah.pool.jobs",
    help: "Jobs that run of the queues of a pool with a limit, for the hundred pools that were made first.",
  },
  howdah_pool_jobs_limit: {
    type: "gauge",
    labels: ["pool"],
    otel: "howdah.pool.jobs.limit",
    help: "How many of them may run at once.",
  },
  howdah_oldest_due_seconds: {
    type: "gauge",
    labels: ["kind"],
    otel: "howdah.oldest_due.age",
    help: "How long the oldest due job waits that no worker has claimed, without a queue (plain) or in one (queued); 0 when none waits.",
  },
  howdah_backlog_age_seconds: {
    type: "gauge",
    labels: [],
    otel: "howdah.backlog.age",
    help: "How long ago the numbers of the table were read.",
  },
  howdah_backlog_read_seconds: {
    type: "gauge",
    labels: [],
    otel: "howdah.backlog.read.duration",
    help: "How long reading them took.",
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** One metric of the set. */
export interface Metric {
  readonly type: "counter" | "gauge" | "histogram";
  /** In the order in which values are given. */
  readonly labels: readonly Label[];
  /** The upper bounds of a histogram. */
  readonly buckets?: readonly number[];
  readonly otel: string;
  /** One sentence. */
  readonly help: string;
}

/** What metrics can be told apart by. */
export type Label = "task" | "outcome" | "result" | "state" | "kind" | "pool";

/** The name of a metric, as Prometheus has it. */
export type MetricName = keyof typeof METRICS;

/** The names of one type of metric. */
export type NameOf<Type extends Metric["type"]> = {
  [Name in MetricName]: (typeof METRICS)[Name]["type"] extends Type ? Name : never;
}[MetricName];

/** All names, in the order of the table. */
export const METRIC_NAMES = Object.keys(METRICS) as readonly MetricName[];

/** A metric by its name. */
export function metricOf(name: MetricName): Metric {
  return METRICS[name];
}
