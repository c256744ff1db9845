import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../../index.ts";

/** What a worker that may be killed is told. */
export interface CrashWorkerOrder {
  readonly connectionString: string;
  readonly isDatabaseOwn: boolean;
  readonly schema: string;
  /** What the demo walked. */
  readonly directory: string;
  readonly concurrency: number;
}

/** What it says: how many jobs it has begun, or that it gave back so many of a worker that had died. */
export type CrashWorkerReport = { readonly started: number } | { readonly recovered: number };

/** What was broken, and what came back. */
export interface Crashes {
  /** Workers killed with SIGKILL. */
  readonly kills: number;
  /** Restarts of the database. */
  readonly restarts: number;
  /** Jobs of killed workers that others gave back. */
  readonly recovered: number;
}

/** Workers that are killed and replaced. */
export interface CrashCrew {
  readonly kills: number;
  readonly recovered: number;
  /** Kills nobody any more, tells all to stop, and resolves when they have ended. */
  stop(): Promise<void>;
}

/** What {@link startCrashCrew} needs. */
export interface CrashCrewOptions {
  readonly order: CrashWorkerOrder;
  readonly workers: number;
  /** How many jobs there are: some twenty times in all somebody is killed, less often when there are few. */
  readonly jobs: number;
  readonly clock: Clock;
}

const KILLS = 20;
/** However few jobs there are, a worker gets something done before it is killed. */
const FEWEST_JOBS = 50;
/** Who cannot start, because there is no database, does not try again at once. */
const REPLACE_MS = 200;

/**
 * Starts worker processes and kills each of them, without warning, after a
 * random number of jobs. Another takes its place.
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
