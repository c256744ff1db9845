import type { OptionHints, OptionSpellings } from "../runtime/options.ts";

/*
 * What options of comparable queues are called here, by the place where they
 * are written: people bring their names along. The value ends the sentence
 * "Unknown option `x`: ".
 */

const theirs = (peer: string, ours: string): string => `what ${peer} calls so is ${ours}.`;

const LATER = '`runIn` for a delay such as "5m", `runAt` for a time';
const ATTEMPTS = "`maxAttempts`, which counts the first attempt too";
const POLICY = "the option `retry` of the task";
const KEEP = "the option `keep` of the task";
const RECUR = "`cron()`, for the option `crons` of a worker, or `client.schedules`";

/** Options of a job. */
export const JOB_PEER_NAMES: OptionHints = {
  startAfter: theirs("pg-boss", LATER),
  delay: theirs("BullMQ", LATER),
  scheduledAt: theirs("River", LATER),
  scheduleIn: theirs("Oban", LATER),
  singletonKey: theirs("pg-boss", "`jobKey`, or `unique: { by }`"),
  singletonSeconds: theirs("pg-boss", "`unique: { for }`"),
  jobId: theirs("BullMQ", "`jobKey`"),
  deduplication: theirs("BullMQ", "`unique`, or `debounce`"),
  uniqueness: "it is called `unique`.",
  throttle: "at most one job in a while is `unique: { for }`.",
  attempts: theirs("BullMQ", ATTEMPTS),
  retries: `the number of attempts is ${ATTEMPTS}; when they come says ${POLICY}.`,
  retryLimit: theirs("pg-boss", ATTEMPTS),
  retryDelay: theirs("pg-boss", POLICY),
  retryBackoff: theirs("pg-boss", POLICY),
  backoff: theirs("BullMQ", POLICY),
  expireIn: theirs("pg-boss", "`timeout`"),
  expireInSeconds: theirs("pg-boss", '`timeout`, such as "30s"'),
  expireInMinutes: theirs("pg-boss", '`timeout`, such as "5m"'),
  queue: "jobs of one serial queue have the same `queueName`.",
  repeat: theirs("BullMQ", RECUR),
  cron: `what recurs is declared with ${RECUR}.`,
  removeOnComplete: "a job that is done is removed, unless its task has `keep`.",
  keep: `for how long jobs are kept that have ended says ${KEEP}.`,
  retentionDays: theirs("pg-boss", KEEP),
  deadLetter: "it belongs to the task.",
  removeOnFail: "a job that has failed for good stays until `client.cleanup()` removes it.",
};

/** Options of a worker. */
export const WORKER_PEER_NAMES: OptionHints = {
  taskList: theirs("graphile-worker", "`tasks`, a list of what `defineTask()` makes: `tasks: defineTasks(taskList)`"),
  taskDirectory: "the tasks of a folder are run by the command line: `howdah work tasks`.",
  handler: "handlers are given as `tasks`, each made by `defineTask({ identifier, run })`.",
  processor: theirs("BullMQ", "`tasks`, a list of what `defineTask()` makes"),
  teamSize: theirs("pg-boss", "`concurrency`"),
  teamConcurrency: theirs("pg-boss", "`concurrency`"),
  localConcurrency: theirs("pg-boss", "`concurrency`"),
  batchSize: theirs("pg-boss", "`gather: { size }` of a task made by `defineGatherTask()`"),
  noHandleSignals: theirs("graphile-worker", "`shutdown: { osSignals: false }`"),
  gracefulShutdownAbortTimeout: theirs("graphile-worker", "`shutdown: { gracePeriod, abortPeriod }`"),
  parsedCronItems: theirs("graphile-worker", "`crons`"),
  crontabFile: theirs("graphile-worker", "`crontab`, which takes the text of the file"),
  events: theirs("graphile-worker", "`hooks`"),
  pollingIntervalSeconds: theirs("pg-boss", '`pollInterval`, such as "2s"'),
  newJobCheckInterval: theirs("pg-boss", "`pollInterval`"),
  lockDuration: theirs("BullMQ", "not needed: `recovery` finds out when a worker dies"),
  stalledInterval: theirs("BullMQ", "`recovery`, which is on by default"),
  cron: "crontab text is given as `crontab`, what `cron()` makes as `crons`.",
  schedules: "schedules are changed with `client.schedules`; those of the program are given as `crons`.",
  retries: `the number of attempts is \`defaults: { maxAttempts }\` of a task; when they come says its \`retry\`.`,
  retryLimit: theirs("pg-boss", "`defaults: { maxAttempts }` of a task"),
  attempts: theirs("BullMQ", "`defaults: { maxAttempts }` of a task"),
  backoff: theirs("BullMQ", POLICY),
  expireIn: theirs("pg-boss", "the option `timeout` of a task"),
  timeout: "a `timeout` belongs to a task or a job.",
};

/** Options of whatever connects. */
export const CONNECTION_PEER_NAMES: OptionHints = {
  connection: theirs("BullMQ", "`connectionString`"),
  databaseUrl: "a URL is given as `connectionString`.",
  url: "a URL is given as `connectionString`.",
  max: theirs("pg", "`maxConnections`"),
  host: "name host, user, password and database in `connectionString`, or give a `pool` of `pg`.",
  user: "name host, user, password and database in `connectionString`, or give a `pool` of `pg`.",
  password: "name host, user, password and database in `connectionString`, or give a `pool` of `pg`.",
  database: "name host, user, password and database in `connectionString`, or give a `pool` of `pg`.",
  ssl: "ask for TLS in `connectionString` with `?sslmode=...`, or give a `pool` of `pg`.",
};

/** Options of whatever connects that graphile-worker spells in another way: they are accepted. */
export const CONNECTION_SPELLINGS: OptionSpellings = { maxPoolSize: "maxConnections", pgPool: "pool" };

/** The same for options of a worker. */
export const WORKER_SPELLINGS: OptionSpellings = { ...CONNECTION_SPELLINGS, concurrentJobs: "concurrency" };

/** The same for `refetchDelay` of a local queue. */
export const REFETCH_SPELLINGS: OptionSpellings = { durationMs: "duration" };

/** Options of a task. */
export const TASK_PEER_NAMES: OptionHints = {
  gather: "a task that gathers jobs is made by `defineGatherTask()`, and its handler is called `runMany`.",
  runMany: "a task with `runMany` is made by `defineGatherTask()`.",
  name: "the name of a task is its `identifier`.",
  id: "the name of a task is its `identifier`.",
  handler: "the handler is called `run`, or `runBatch` in a batch task.",
  handle: "the handler is called `run`, or `runBatch` in a batch task.",
  perform: "the handler is called `run`, or `runBatch` in a batch task.",
  process: "the handler is called `run`, or `runBatch` in a batch task.",
  execute: "the handler is called `run`, or `runBatch` in a batch task.",
  work: "the handler is called `run`, or `runBatch` in a batch task.",
  fn: "the handler is called `run`, or `runBatch` in a batch task.",
  schema: "the schema is called `payload`, or `item` in a batch task.",
  input: "the schema is called `payload`, or `item` in a batch task.",
  data: "the schema is called `payload`, or `item` in a batch task.",
  retries: `the number of attempts is \`defaults: { maxAttempts }\`; when they come says \`retry\`.`,
  retryLimit: theirs("pg-boss", "`defaults: { maxAttempts }`"),
  attempts: theirs("BullMQ", "`defaults: { maxAttempts }`"),
  retryDelay: theirs("pg-boss", "`retry`"),
  retryBackoff: theirs("pg-boss", "`retry`"),
  backoff: theirs("BullMQ", "`retry`"),
  expireIn: theirs("pg-boss", "`timeout`"),
  expireInSeconds: theirs("pg-boss", "`timeout`"),
  removeOnComplete: theirs("BullMQ", '`keep`, such as "7d"; without it jobs are removed when they are done'),
  retention: 'for how long jobs are kept that have ended says `keep`, such as "7d".',
  retentionDays: theirs("pg-boss", '`keep`, such as "7d"'),
  history: 'for how long jobs are kept that have ended says `keep`, such as "7d".',
  deadLetterQueue: "the task that gets a job when one has failed for good is called `deadLetter`.",
  queue: "jobs of a task go into one serial queue with `defaults: { queueName }`.",
  queueName: "it belongs in `defaults`.",
  maxAttempts: "it belongs in `defaults`.",
  priority: "it belongs in `defaults`.",
  jobKey: "it belongs in `defaults`.",
  jobKeyMode: "it belongs in `defaults`.",
  flags: "it belongs in `defaults`.",
  concurrency: "how many jobs run at once says the worker; one after another they run with `defaults: { queueName }`.",
  cron: `what recurs is declared with ${RECUR}.`,
  repeat: theirs("BullMQ", RECUR),
  schedule: `what recurs is declared with ${RECUR}.`,
};

/** Options of `cron()` and of schedules. */
export const CRON_PEER_NAMES: OptionHints = {
  cron: "the expression is called `schedule`.",
  pattern: theirs("BullMQ", "`schedule`"),
  match: theirs("graphile-worker", "`schedule`"),
  expression: "the expression is called `schedule`.",
  tz: theirs("pg-boss", "`timeZone`"),
  backfillPeriod: theirs("graphile-worker", "`fill`"),
  name: "a schedule has an `id`, and a `task`.",
  identifier: theirs("graphile-worker", "`id`, the task `task`"),
  data: theirs("pg-boss", "`payload`"),
  options: "options of the jobs are called `spec`.",
  opts: "options of the jobs are called `spec`.",
  queueName: "it belongs in `spec`.",
  maxAttempts: "it belongs in `spec`.",
  priority: "it belongs in `spec`.",
  jobKey: "it belongs in `spec`.",
  jobKeyMode: "it belongs in `spec`.",
  flags: "it belongs in `spec`.",
  timeout: "it belongs in `spec`.",
};

/** Properties of the entries of `addJobs`. */
export const ENTRY_PEER_NAMES: OptionHints = {
  name: theirs("BullMQ", "`identifier`, or a `task`"),
  data: theirs("BullMQ", "`payload`"),
  opts: theirs("BullMQ", "`spec`"),
  options: "options of the job are called `spec`.",
  runAt: "it belongs in `spec`.",
  runIn: "it belongs in `spec`.",
  queueName: "it belongs in `spec`.",
  maxAttempts: "it belongs in `spec`.",
  priority: "it belongs in `spec`.",
  jobKey: "it belongs in `spec`.",
  jobKeyMode: "it belongs in `spec`.",
  flags: "it belongs in `spec`.",
  timeout: "it belongs in `spec`.",
  unique: "it belongs in `spec`.",
  debounce: "it belongs in `spec`.",
  awaited: "it belongs in `spec`.",
};
