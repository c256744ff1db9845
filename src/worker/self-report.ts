import { hostname } from "node:os";
import type { SelfReports } from "../job/recover/liveness-loop.ts";
import { type RunningFacts, writeReport } from "../job/worker-report.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import { migrations } from "../postgres/migrations.generated.ts";
import { version } from "../runtime/version.generated.ts";
import type { Engine } from "./engine.ts";

/** What a worker says of itself with each heartbeat of one run. */
export class SelfReport implements SelfReports {
  readonly #context: WorkerContext;
  readonly #engine: ReportedEngine;
  readonly #startedAt: number;
  readonly #host = hostname();

  constructor(context: WorkerContext, engine: ReportedEngine) {
    this.#context = context;
    this.#engine = engine;
    this.#startedAt = context.clock.monotonic();
  }

  of(workerId: string): string {
    const { clock, identity, settings, tasks } = this.#context;
    const { claimer, slots } = this.#engine;
    const now = clock.monotonic();
    const isCurrent = workerId === identity.current;
    const running = [...slots.atWork()].filter(({ job }) => job.lockedBy === workerId);
    return writeReport({
      version,
      revision: migrations.at(-1)?.id,
      host: this.#host,
      pid: process.pid,
      runsForMs: Math.round(now - this.#startedAt),
      // The slots are those of the current id; a retired one only keeps what it has.
      concurrency: isCurrent ? settings.concurrency : 0,
      busy: isCurrent ? slots.busy : 0,
      localQueueSize: settings.localQueue?.size ?? null,
      ...this.#counts(workerId),
      claims: claimer.health(now),
      isRetired: !isCurrent,
      isStopping: this.#engine.isStopping,
      tasks: isCurrent ? tasks.identifiers : [],
      forbiddenFlags: claimer.forbiddenFlags,
      running: running.sort((a, b) => a.startedAt - b.startedAt).map((work) => toFacts(work, now)),
    });
  }

  #counts(workerId: string) {
    let [cached, leftBehind, unwritten, locked] = [0, 0, 0, 0];
    for (const { job, phase, isLocked } of this.#context.held) {
      if (job.lockedBy !== workerId) continue;
      if (isLocked) locked += 1;
      if (phase === "cached") cached += 1;
      else if (phase === "detached") leftBehind += 1;
      else if (phase === "ending") unwritten += 1;
    }
    return { cached, leftBehind, unwritten, locked };
  }
}

/** The parts of an engine that a report is about. */
export interface ReportedEngine extends Pick<Engine, "isStopping"> {
  readonly claimer: Pick<Engine["claimer"], "forbiddenFlags" | "health">;
  readonly slots: Pick<Engine["slots"], "atWork" | "busy">;
}

function toFacts({ job, startedAt }: ReturnType<Engine["slots"]["atWork"]>[number], now: number): RunningFacts {
  const { id, task, queueName: queue } = job;
  return { id, task, queue, ms: Math.round(now - startedAt) };
}
