import { toDate } from "../job/row.ts";
import { readReport, type WorkerReport } from "../job/worker-report.ts";
import { listIdleWorkers } from "../postgres/queries/idle-workers.ts";
import { listWorkers, sweepWorkers, type WorkerRecord } from "../postgres/queries/list-workers.ts";
import type { RefusedRow } from "../postgres/queries/recover.ts";
import { longestSilenceMs, RESILIENCE, RESILIENT_JOB_FLAGS } from "../job/longest-silence.ts";
import type { Duration } from "../runtime/duration.ts";
import { boolean, duration } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { Session } from "./session.ts";

export type { ClaimHealth, RunningJob, WorkerReport } from "../job/worker-report.ts";
export type { RefusedRow } from "../postgres/queries/recover.ts";

/** A worker that is registered: it runs, or it is dead and its recovery is not over. */
export interface WorkerInfo {
  readonly id: string;
  readonly startedAt: Date;
  readonly lastHeartbeatAt: Date;
  /**
   * Whether the database still has the session that the worker listens on.
   * `lost` a moment after the process is gone; `none` for workers that have no
   * session to be watched by, such as one that only polls.
   */
  readonly session: "held" | "lost" | "none";
  /** Declared dead, or silent for longer than `sweepThreshold`. */
  readonly isStale: boolean;
  /** What it said with its last heartbeat, see {@link WorkerReport}; null for one of 0.1.0 or of another implementation. */
  readonly report: WorkerReport | null;
  /** The same as it is stored, and what workers of other kinds store. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** Which silence is a long one. */
export interface WorkerListOptions {
  /** Default 5m. */
  readonly sweepThreshold?: Duration | undefined;
}

/** How {@link WorkerRegister.sweepStaleWorkers} sweeps. */
export interface SweepOptions {
  /** Workers that have been silent for longer are declared dead. Default 5m. */
  readonly sweepThreshold?: Duration | undefined;
  /**
   * A worker without a session to be watched by that holds a job with one of
   * these flags may be silent for longer, as for workers that sweep. Default:
   * `["infrastructure_resilient"]`.
   */
  readonly resilientJobFlags?: readonly string[] | undefined;
  /** For how much longer: `sweepThreshold` times this, 1 or more. Default 3. */
  readonly resilientSweepThresholdMultiplier?: number | undefined;
  /** Jobs without a queue run after half to all of this time. Default 30s. */
  readonly recoveryDelay?: Duration | undefined;
  /** Changes nothing and tells what would be. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** Whom a sweep took for dead. */
export interface SweepResult {
  /** By id; workers, and holders of locks that were never registered. */
  readonly workerIds: string[];
  /** How many jobs were given back. */
  readonly jobCount: number;
  /**
   * What triggers, constraints or policies of yours keep from being given back.
   * It is found again by the next sweep.
   */
  readonly refused: readonly RefusedRow[];
}

/** A worker that is idle with `pollInterval: "adaptive"`: it only listens. What it runs, and who it is, is not stored. */
export interface IdleWorker {
  /** The process of the server that serves the session on which it listens. */
  readonly serverPid: number;
  /** Whether that session comes from the address that this client comes from, as far as this role sees it. */
  readonly isFromHere: boolean;
}

/** Who runs jobs in this schema. */
export interface WorkerRegister {
  /** Every registered worker, the longest registered first, those of other implementations too; idle ones are not. */
  listActiveWorkers(options?: WorkerListOptions): Promise<WorkerInfo[]>;
  /** The workers that are idle, and for a moment one that has just started. They are told by a lock of their sessions. */
  listIdleWorkers(): Promise<IdleWorker[]>;
  /**
   * Gives back, once and now, what silent workers hold. Workers do that for each
   * other all the time and watch before they decide; this call goes by the
   * times that are stored, and is for schemas in which no worker runs for long.
   * A worker whose session the database still has may be silent for six times
   * as long, one that holds resilient jobs for three times; locks of other
   * implementations' workers that never registered are
   * left alone for four hours. Nothing happens while another sweep is under way.
   */
  sweepStaleWorkers(options?: SweepOptions): Promise<SweepResult>;
}

/** Locks of unregistered workers of other kinds count as forgotten after so long, as everywhere. */
const FOREIGN_MS = 4 * 60 * 60 * 1_000;

/** The methods about workers on one session. */
export function createWorkerRegister(session: Session): WorkerRegister {
  const { schema } = session;
  return {
    async listActiveWorkers(options) {
      const { sweepThresholdMs } = readOptions("listActiveWorkers", options, {
        sweepThreshold: duration({ min: 1, default: "5m" }),
      });
      const workers = await listWorkers(session, schema);
      return workers.map((worker) => toWorkerInfo(worker, sweepThresholdMs));
    },

    async listIdleWorkers() {
      return [...(await listIdleWorkers(session, schema))];
    },

    async sweepStaleWorkers(options) {
      const { sweepThresholdMs, recoveryDelayMs, dryRun, ...resilience } = readOptions("sweepStaleWorkers", options, {
        sweepThreshold: duration({ min: 1, default: "5m" }),
        recoveryDelay: duration({ default: "30s" }),
        dryRun: boolean({ default: false }),
        ...RESILIENCE,
      });
      const limits = { sweepThresholdMs, resilientFactor: resilience.resilientSweepThresholdMultiplier };
      const request = {
        thresholdMs: longestSilenceMs({ lock: "lost", isResilient: false }, limits),
        heldMs: longestSilenceMs({ lock: "held", isResilient: false }, limits),
        resilientMs: longestSilenceMs({ lock: "none", isResilient: true }, limits),
        flags: resilience.resilientJobFlags ?? RESILIENT_JOB_FLAGS,
        foreignMs: Math.max(FOREIGN_MS, sweepThresholdMs),
        delayMs: recoveryDelayMs,
        dryRun,
      };
      const { holders, refused } = await sweepWorkers(session, schema, request);
      const workerIds = holders.map(({ id }) => id).sort();
      const jobCount = holders.reduce((sum, { jobs }) => sum + jobs, 0);
      return { workerIds, jobCount, refused };
    },
  };
}

function toWorkerInfo(worker: WorkerRecord, sweepThresholdMs: number): WorkerInfo {
  const { id, startedAt, lock, isDeclaredDead, silentMs } = worker;
  const lastHeartbeatAt = toDate(worker.lastHeartbeatAt);
  const metadata = toMetadata(JSON.parse(worker.metadata ?? "null"));
  return {
    id,
    startedAt: toDate(startedAt),
    lastHeartbeatAt,
    session: lock,
    isStale: isDeclaredDead || silentMs > sweepThresholdMs,
    report: readReport(metadata, lastHeartbeatAt),
    metadata,
  };
}

/** Others may store anything there. */
export function toMetadata(value: unknown): WorkerInfo["metadata"] {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}
