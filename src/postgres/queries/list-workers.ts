import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { type RefusedRow, toRefusedRow } from "./recover.ts";
import type { WorkerSighting } from "./sweep.ts";

/** Returns every registered worker, the longest registered first. */
export async function listWorkers(executor: Executor, schema: Schema): Promise<readonly WorkerRecord[]> {
  const us = schema.of("_howdah_us");
  const text = `
select worker.id, ${us}(worker.started_at), ${us}(worker.last_heartbeat_at), seen.lock, worker._howdah_swept operator(pg_catalog.>) 0,
  (extract(epoch from pg_catalog.now() operator(pg_catalog.-) worker.last_heartbeat_at) operator(pg_catalog.*) 1000)::bigint, worker.metadata
from ${schema.of("_private_workers")} as worker
join ${schema.of("_howdah_workers_v1")}() as seen on seen.id operator(pg_catalog.=) worker.id
order by worker.started_at, worker.id`;
  const { rows } = await executor.query({ name: "howdah_list_workers", text });
  return rows.map(([id, startedAt, lastHeartbeatAt, lock, isDeclared, silentMs, metadata = null]) => ({
    id: id ?? "",
    startedAt: startedAt ?? "",
    lastHeartbeatAt: lastHeartbeatAt ?? "",
    lock: lock as WorkerRecord["lock"],
    isDeclaredDead: isDeclared === "t",
    silentMs: Number(silentMs),
    metadata,
  }));
}

/** A registered worker. Times are microseconds since 1970. */
export interface WorkerRecord {
  readonly id: string;
  readonly startedAt: string;
  readonly lastHeartbeatAt: string;
  /** Of its session. */
  readonly lock: WorkerSighting["lock"];
  readonly isDeclaredDead: boolean;
  /** Since its last heartbeat, by the database's clock. */
  readonly silentMs: number;
  /** JSON. */
  readonly metadata: string | null;
}

/** What an operator's sweep is told. */
export interface SweepRequest {
  readonly thresholdMs: number;
  /** For workers whose session is there. */
  readonly heldMs: number;
  /** For workers that hold a job with one of the flags. */
  readonly resilientMs: number;
  readonly flags: readonly string[];
  readonly foreignMs: number;
  readonly delayMs: number;
  readonly dryRun: boolean;
}

/** Whom a sweep took for dead, with the number of jobs that were given back, and what could not be. */
export interface SweepAnswer {
  readonly holders: readonly { readonly id: string; readonly jobs: number }[];
  readonly refused: readonly RefusedRow[];
}

/** Recovers what silent workers hold. */
export async function sweepWorkers(executor: Executor, schema: Schema, request: SweepRequest): Promise<SweepAnswer> {
  const { thresholdMs, heldMs, resilientMs, flags, foreignMs, delayMs, dryRun } = request;
  // $1 threshold   $2 with a session   $3 with resilient jobs   $4 their flags   $5 threshold for others
  // $6 recovery delay   $7 dry run
  const text = `select kind, worker_id, jobs, id, state, message from ${schema.of("_howdah_sweep_v1")}($1, $2, $3, $4, $5, $6, $7)`;
  const ms = (value: number): string => String(Math.round(value));
  const silences = [ms(thresholdMs), ms(heldMs), ms(resilientMs), textArray(flags)];
  const values = [...silences, ms(foreignMs), ms(delayMs), String(dryRun)];
  const { rows } = await executor.query({ text, values });
  const refused = rows.filter(([kind]) => kind !== "holder");
  return {
    holders: rows.filter(([kind]) => kind === "holder").map(([, id, jobs]) => ({ id: id ?? "", jobs: Number(jobs) })),
    refused: refused.map(([kind, workerId, , id, state, message]) =>
      toRefusedRow(kind as RefusedRow["kind"], { id, workerId, state, message }),
    ),
  };
}
