/**
 * For tests of applications, and of Howdah itself: handlers that run alone,
 * queues that are drained, what was added, databases, faults, and time that can
 * be moved.
 *
 * @packageDocumentation
 */
export { addedJobs } from "./added-jobs.ts";
export type { AddedJobsSource, AssertedJob, RunAtRange, WantedJob } from "./added-jobs.ts";
export { assertAdded, assertNotAdded } from "./assert-added.ts";
export { drain } from "./drain.ts";
export type { Drained, DrainOptions } from "./drain.ts";
export type { StatementFault, FaultKind } from "./statement-fault.ts";
export { faultyDriver } from "./faulty-driver.ts";
export type { FaultyDriver, InjectedFault } from "./faulty-driver.ts";
export type { AsymmetricMatcher, Like } from "./is-like.ts";
export { createManualClock } from "./manual-clock.ts";
export type { ManualClock } from "./manual-clock.ts";
export { howdahMatchers } from "./matchers.ts";
export type { HowdahMatchers, MatcherResult } from "./matchers.ts";
export type { RanJob, RunOutcome } from "./ran-job.ts";
export { runTask } from "./run-task.ts";
export type { RunTaskArguments, RunTaskOptions, RunTaskState, TaskRun } from "./run-task.ts";
export { createTestDatabase } from "./create-test-database.ts";
export type { TestDatabase, TestDatabaseOptions } from "./create-test-database.ts";
export { createTestQueue } from "./create-test-queue.ts";
export type { TestQueue, TestQueueOptions } from "./create-test-queue.ts";
export { startTestServer } from "./test-server.ts";
