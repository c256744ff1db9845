import type { EventName } from "../../../../src/hooks/events.ts";
import type { HookHandlers } from "../../../../src/hooks/emitter.ts";
import type { Job, JobSpec } from "../../../../src/job/job.ts";
import type { AnyTask } from "../../../../src/job/task.ts";
import type { WorkerOptions } from "../../../../src/worker/options.ts";
import type { Worker } from "../../../../src/worker/worker.ts";
import type { TestDatabase } from "../../../harness/database.ts";

/** How a job gets to its slot. */
export type Way = "direct" | "direct, in a queue" | "local queue" | "chain";

/** All of them. */
export const WAYS: readonly Way[] = ["direct", "direct, in a queue", "local queue", "chain"];

/** What a case can do to a job that is being run. */
export interface Scene {
  readonly database: TestDatabase;
  readonly worker: Worker;
  readonly job: Job;
  readonly queueName: string | undefined;
  /** Resolves when the worker has claimed the job. */
  claimed(): Promise<unknown>;
  /** Resolves when the handler has been called. */
  readonly started: Promise<void>;
  /** Lets the handler go on that waits for it. */
  release(): void;
}

/** The handler's side of a {@link Scene}. */
export interface Cue {
  started(): void;
  /** Resolves when the case lets the handler go on. */
  readonly released: Promise<void>;
}

/** One way in which a job can end. */
export interface EndingCase {
  /** The first column of its row; also makes the identifier of its task. */
  readonly what: string;
  task(identifier: string, cue: Cue): AnyTask;
  readonly payload?: unknown;
  readonly spec?: JobSpec;
  /** What is done while it runs. */
  act?(scene: Scene): Promise<void>;
  /** Gives the case a worker with these options, which it shares with those that have the same. */
  readonly options?: Partial<WorkerOptions>;
  /** It shares its worker with no other case. */
  readonly endsWorker?: boolean;
  /** Interceptors of this job alone. */
  readonly hooks?: Readonly<Partial<HookHandlers>>;
  /** Default: all. */
  readonly ways?: readonly Way[];
  /** Its handler goes on when the job has ended, and so the queue stays locked. */
  readonly lingers?: boolean;
  /** Told last of all; default: whatever is told when the row is written. */
  readonly lastEvent?: EventName;
  /** The only slot runs another job, so that the job is not started. */
  readonly waits?: boolean;
  /** Nothing is behind it in its queue. */
  readonly isLast?: boolean;
  /** The worker does not know the task: the job is held by another one. */
  readonly foreign?: boolean;
}

/** A name that can stand for a case in identifiers and keys. */
export function slugOf({ what }: EndingCase): string {
  return what
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .slice(0, 60);
}
