export type { AddJobsOptions } from "./client/adds.ts";
export type { EraseFilter, EraseResult, Erasing } from "./client/erasing.ts";
export type { BulkChanges, BulkFilter, BulkOperation, BulkOptions, DryRun } from "./client/bulk.ts";
export type { BulkPreview } from "./client/bulk-preview.ts";
export type { CleanUpOptions, CleanUpResult, CleanUpTask } from "./client/clean-up.ts";
export type { Backlog, BacklogOptions, BacklogReads, OldestDueMs } from "./client/backlog.ts";
export type { Client, TransactionClient } from "./client/client.ts";
export { createClient } from "./client/create-client.ts";
export type { ClientOptions } from "./client/create-client.ts";
export type { CancelFilter, CancelResult, Pause, PauseOptions, Pauses } from "./client/control.ts";
export type { DiagnosisStatus } from "./client/doctor/check.ts";
export type { DiagnoseOptions, Diagnosis, DiagnosisResult, Doctor } from "./client/doctor/diagnose.ts";
export type { ConnectionOptions } from "./client/connection.ts";
export type { Count, JobStats } from "./client/counts.ts";
export type { ErrorInfo, ErrorList } from "./client/errors-by-line.ts";
export type { JobExplanation, JobReason, JobReasonCode } from "./client/why/explain-job.ts";
export type { AttemptListOptions, HistoryList, HistoryOptions, HistoryReads } from "./client/history.ts";
export type { ErrorListOptions, JobListOptions, QueueInfo, QueueList, QueueListOptions } from "./client/inspect.ts";
export type { JobLogListOptions } from "./client/job-logs.ts";
export type {
  QueuePool,
  QueueRule,
  QueueRulesControl,
  QueueRulesList,
  QueueRulesResult,
} from "./client/queue-rules.ts";
export type { QueueLimits } from "./client/queue-limits.ts";
export type { ResultOptions } from "./client/results.ts";
export type { GroupStats, JobGroup } from "./client/read-group-stats.ts";
export type { JobFilter } from "./client/job-filter.ts";
export type { JobList, SearchedJobs } from "./client/read-job-list.ts";
export type { RescheduleOptions, RetryOptions } from "./client/manage.ts";
export type { Operations } from "./client/operations.ts";
export type { Preview, ScheduleOptions, Schedules } from "./client/schedules.ts";
export type { DueGroup, Sample, SampleListOptions, TaskSample, TaskSampleListOptions } from "./client/samples.ts";
export type {
  ClaimHealth,
  RefusedRow,
  RunningJob,
  SweepOptions,
  SweepResult,
  IdleWorker,
  WorkerInfo,
  WorkerListOptions,
  WorkerReport,
} from "./client/workers.ts";
export { cron } from "./cron/cron.ts";
export type { CronEntry, CronOptions, CronPayload, CronSpec, CronTask, CronTick } from "./cron/cron.ts";
export { parseCrontab } from "./cron/crontab.ts";
export { every } from "./cron/every.ts";
export type { Month, TimeOfDay, Weekday } from "./cron/every.ts";
export type { MissedTicks } from "./cron/recurring-job.ts";
export type { Schedule } from "./cron/stored-schedule.ts";
export { ERROR_CODES, HowdahError, isHowdahError } from "./errors.ts";
export type { HowdahErrorCode } from "./errors.ts";
export type {
  AttemptOutcome,
  CronTarget,
  EventName,
  Events,
  InterruptionReason,
  ShutdownReason,
} from "./hooks/events.ts";
export type { HookHandler, HookHandlers, HookName, Interceptor, Observer } from "./hooks/emitter.ts";
export type { Hooks } from "./hooks/hooks.ts";
export type {
  InterceptorName,
  Interceptors,
  JobRanDecision,
  JobRanEvent,
  JobRecoveryDecision,
  JobRecoveryEvent,
  JobRunDecision,
  JobRunEvent,
  JobScheduleDecision,
  JobScheduleEvent,
  ScheduleCall,
  ScheduleResult,
} from "./hooks/interceptors.ts";
export type { Plugin } from "./hooks/plugin.ts";
export type { JobId } from "./job/add/prepare-and-add.ts";
export { NotUniqueError } from "./job/add/read-unique-jobs.ts";
export type { ForbiddenFlags } from "./job/claim/claim-plan.ts";
export type { LocalQueueOptions, RefetchDelayOptions } from "./job/claim/local-queue/options.ts";
export { cancel, rateLimited, snooze } from "./job/directive.ts";
export type { Directive, RateLimit, RateLimited } from "./job/directive.ts";
export type { JobContext } from "./job/execute/context.ts";
export type { AddedJob, AddOutcome, Job, JobKeyMode, JobLogLine, JobProgress, JobSpec, JobState } from "./job/job.ts";
export type { FinishedJob, FinishedState, JobAttempt } from "./job/finished-job.ts";
export type { Results } from "./job/job.ts";
export type { PoolRules, QueueRate, QueueRules } from "./job/queue-rules.ts";
export type { FailedAttempt, RetryPolicy } from "./job/retry.ts";
export type { PayloadSchema, SchemaIssue, SchemaResult } from "./job/schema.ts";
export type { GatherContext, GatheredJob, GatherOutcome } from "./job/execute/gather-context.ts";
export { defineBatchTask, defineGatherTask, defineTask, defineTasks } from "./job/task.ts";
export type {
  AnyHandler,
  AnyTask,
  BatchItemResult,
  BatchResult,
  BatchTask,
  GatherResult,
  GatherTask,
  HandlerResult,
  NewBatchTask,
  NewGatherTask,
  NewTask,
  Task,
} from "./job/task.ts";
export type {
  DeadLetter,
  BatchTaskDeclaration,
  GatherOptions,
  InvalidPayloadPolicy,
  JobLogOptions,
  TaskDeclaration,
  TaskOptions,
} from "./job/task-declaration.ts";
export type { KeepOptions } from "./job/keep-options.ts";
export type { DebounceOptions, KeyFunction, UniqueKey, UniqueOptions } from "./job/unique-options.ts";
export type { RecoveryOptions } from "./job/recover/options.ts";
export type { TaskLimit } from "./job/task-limit.ts";
export { unrecoverable } from "./job/unrecoverable.ts";
export type { WorkerMetrics } from "./job/worker-metrics.ts";
export type { ApplicationTransaction } from "./postgres/caller-transaction.ts";
export type { DrizzleTransaction } from "./postgres/transactions/drizzle.ts";
export { executor, type RunStatement } from "./postgres/transactions/executor.ts";
export type { KnexTransaction } from "./postgres/transactions/knex.ts";
export type { KyselyTransaction } from "./postgres/transactions/kysely.ts";
export type { MikroOrmTransaction } from "./postgres/transactions/mikro-orm.ts";
export type { PGliteTransaction } from "./postgres/transactions/pglite.ts";
export type { PostgresJsTransaction } from "./postgres/transactions/postgres-js.ts";
export type { PrismaTransaction } from "./postgres/transactions/prisma.ts";
export type { TypeOrmTransaction } from "./postgres/transactions/typeorm.ts";
export type {
  CallerTransaction,
  Cell,
  Driver,
  DriverCapabilities,
  Executor,
  Listening,
  ListenHandlers,
  Query,
  QueryResult,
  Row,
} from "./postgres/driver.ts";
export { migrate, migrationSql } from "./client/migrate-schema.ts";
export type { MigrateOptions, MigrationSqlOptions } from "./client/migrate-schema.ts";
export type { MigrateResult } from "./postgres/apply-migrations.ts";
export type { LayoutChanges } from "./postgres/layout/change-layout.ts";
export type { Clock, Timer } from "./runtime/clock.ts";
export type { Duration } from "./runtime/duration.ts";
export { consoleLogger, silentLogger } from "./runtime/logger.ts";
export type {
  ConsoleLoggerOptions,
  LogFields,
  LogFormat,
  Logger,
  LogLevel,
  LogStream,
  LogThreshold,
} from "./runtime/logger.ts";
export { createWorker } from "./worker/create-worker.ts";
export type { HealthCheck, HealthEffect, HealthReason, WorkerHealth } from "./worker/health.ts";
export { healthHandler } from "./worker/health-handler.ts";
export type { HealthHandler, HealthRequest, HealthResponse, HealthSource } from "./worker/health-handler.ts";
export type { StateOf, StateOption, WorkerOptions, WorkerOptionsFor } from "./worker/options.ts";
export type { ShutdownOptions } from "./worker/shutdown-options.ts";
export type { RunOnceOptions, RunOnceResult, Worker } from "./worker/worker.ts";
