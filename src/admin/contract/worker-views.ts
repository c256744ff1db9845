import { z } from "zod";
import { component, DurationText, Name, Time, Whole } from "./component.ts";

/** A job that a worker runs. */
export const RunningView = component(
  "Running",
  "A job that a worker runs.",
  z.object({ id: z.string(), task: z.string(), queueName: z.string().nullable(), since: Time }),
);
export type RunningView = z.infer<typeof RunningView>;

/** A worker that is registered. */
export const WorkerView = component(
  "Worker",
  "A worker that is registered: it runs, or it is dead and its recovery is not over.",
  z.object({
    id: z.string(),
    startedAt: Time,
    lastHeartbeatAt: Time,
    session: z
      .enum(["held", "lost", "none"])
      .describe("Whether the database still has the session that it listens on."),
    isStale: z.boolean(),
    report: z
      .object({
        version: z.string(),
        host: z.string(),
        pid: Whole,
        runsSince: Time,
        slots: Whole,
        busy: Whole,
        cached: Whole.describe("Jobs that it has claimed and that wait in memory for a slot."),
        localQueueSize: Whole.nullable(),
        detached: Whole.describe("Handlers that go on although they were told to stop."),
        unwritten: Whole,
        locked: Whole,
        tasks: z.array(z.string()),
        moreTasks: Whole,
        forbiddenFlags: z.array(z.string()),
        running: z.array(RunningView),
        moreRunning: Whole,
        claims: z.object({
          fullScanAgeMs: z.number(),
          nextFullScanMs: z.number(),
          nextQueueScanMs: z.number(),
          failingSince: Time.nullable(),
          lastError: z.string().nullable(),
        }),
        isRetired: z.boolean(),
        isStopping: z.boolean(),
      })
      .nullable()
      .describe("What it said with its last heartbeat; null for a worker of another implementation or of 0.1.0."),
  }),
);
export type WorkerView = z.infer<typeof WorkerView>;

/** The answer of `GET workers`. */
export const WorkersAnswer = component(
  "Workers",
  "Every registered worker, the longest registered first.",
  z.object({ asOf: Time, workers: z.array(WorkerView) }),
);
export type WorkersAnswer = z.infer<typeof WorkersAnswer>;

/** The answer of `GET workers/:id`. */
export const WorkerAnswer = component("WorkerAnswer", "One worker.", z.object({ asOf: Time, worker: WorkerView }));
export type WorkerAnswer = z.infer<typeof WorkerAnswer>;

/** What a sweep did. */
export const SweptView = component(
  "Sweep",
  "What a sweep recovered, or would.",
  z.object({
    workerIds: z.array(z.string()),
    jobCount: Whole,
    refused: z.array(
      z.object({ kind: z.enum(["job", "queue", "worker"]), id: z.string(), workerId: z.string(), message: z.string() }),
    ),
  }),
);
export type SweptView = z.infer<typeof SweptView>;

/** How to sweep. */
export const SweepBody = component(
  "SweepRequest",
  "How to sweep.",
  z.strictObject({
    sweepThreshold: DurationText.optional().describe(
      'Workers that have been silent for longer are declared dead. Default "5m".',
    ),
    dryRun: z.boolean().optional(),
  }),
);
export type SweepBody = z.infer<typeof SweepBody>;

/** Which workers to unlock by force. */
export const UnlockRequest = component(
  "UnlockRequest",
  "Unlocks all that these workers hold: what they still run would run twice.",
  z.strictObject({ workerIds: z.array(Name).min(1).max(100) }),
);
export type UnlockRequest = z.infer<typeof UnlockRequest>;

/** What was unlocked. */
export const UnlockAnswer = component("Unlock", "What was unlocked.", z.object({ workerIds: z.array(z.string()) }));
export type UnlockAnswer = z.infer<typeof UnlockAnswer>;
