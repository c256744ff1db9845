import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../../index.ts";

/** Workers that are killed and replaced. */
export interface CrashCrew {
  readonly kills: number;
  readonly recovered: number;
  /** Stops killing, tells all workers to stop, and resolves when they have ended. */
  stop(): Promise<void>;
}

/** The instructions for a worker that may be killed. */
export interface CrashWorkerOrder {
  readonly connectionString: string;
  readonly isDatabaseOwn: boolean;
  readonly schema: string;
  /** The directory of the demo. */
  readonly directory: string;
  readonly concurrency: number;
}

/** Its messages: how many jobs it has started, or how many jobs of a dead worker it has returned. */
export type CrashWorkerReport = { readonly started: number } | { readonly recovered: number };

/** The number of faults, and of recovered jobs. */
export interface Crashes {
  /** Workers killed with SIGKILL. */
  readonly kills: number;
  /** Restarts of the database. */
  readonly restarts: number;
  /** Jobs of killed workers that others returned. */
  readonly recovered: number;
}

/** Options of {@link startCrashCrew}. */
export interface CrashCrewOptions {
  readonly order: CrashWorkerOrder;
  readonly workers: number;
  /** How many jobs there are: workers are killed some twenty times in total, less often when there are few jobs. */
  readonly jobs: number;
  readonly clock: Clock;
}

const KILLS = 20;

/** The least number of jobs that a worker runs before it is killed. */
const FEWEST_JOBS = 50;

/** The delay before a worker that could not start, because there is no database, tries again. */
const REPLACE_MS = 200;

/**
 * Starts worker processes and kills each of them with SIGKILL after a random
 * number of jobs. Another process replaces it.
 */
export function startCrashCrew({ order, workers, jobs, clock }: CrashCrewOptions): CrashCrew {
  const stopping = new AbortController();
  const working = new Set<ChildProcess>();
  let kills = 0;
  let recovered = 0;

  async function keepWorking(): Promise<void> {
    while (!stopping.signal.aborted) {
      await workUntilKilled();
      await clock.sleep(REPLACE_MS, stopping.signal);
    }
  }

  async function workUntilKilled(): Promise<void> {
    const limit = Math.max(FEWEST_JOBS, (jobs / KILLS) * (0.5 + Math.random()));
    const child = fork(fileURLToPath(new URL("crash-worker.js", import.meta.url)), [JSON.stringify(order)]);
    working.add(child);
    child.on("error", () => {});
    child.on("message", (message: CrashWorkerReport) => {
      if ("recovered" in message) recovered += message.recovered;
      else if (message.started >= limit && !stopping.signal.aborted && !child.killed) {
        child.kill("SIGKILL");
        kills += 1;
      }
    });
    await once(child, "exit");
    working.delete(child);
  }

  const loops = Array.from({ length: workers }, keepWorking);
  return {
    get kills() {
      return kills;
    },
    get recovered() {
      return recovered;
    },
    async stop() {
      stopping.abort();
      for (const child of working) if (child.connected) child.send("stop", () => {});
      await Promise.all(loops);
    },
  };
}
