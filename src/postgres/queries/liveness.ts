import type { Executor } from "../driver.ts";
import { jsonArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { SCHEMA_LOCK_CLASS } from "./idle-workers.ts";
import { lockedWorkers } from "./locked-workers.ts";
import { whatToSweep, readSightings, type WorkerSightings } from "./sweep.ts";

/** What a statement about registered workers needs. */
export interface LivenessTarget {
  readonly executor: Executor;
  readonly schema: Schema;
  /** How long it may take. */
  readonly timeoutMs: number;
  /** Aborted when the connection of the executor turns out to be dead, see `lost` of a query. */
  readonly lost?: AbortSignal | undefined;
}

/** An advisory lock that a session of a worker holds. */
export interface SessionLock {
  /** Its second number; the first is the same for all. */
  readonly key: number;
  /** The process of the server that holds it. */
  readonly pid: number;
}

/** Stands for a lock that a worker is about to take; no session ever holds it. */
export const LOCK_TO_COME: SessionLock = { key: 0, pid: 0 };

/** The first number of every lock that stands for a worker; the SQL of recovery knows it, too. */
const LOCK_CLASS = 1_752_135_524;

/**
 * When the server gives up on a peer that confirms nothing of what it was sent:
 * as long as the keepalives take, which it does not send while it waits for that.
 */
const VANISHED_MS = 25_000;

/**
 * Registers workers with a first heartbeat. One that is registered stays as it
 * is, so the call may be repeated after a lost answer.
 */
export async function registerWorkers(
  { executor, schema, timeoutMs, lost }: LivenessTarget,
  { ids, reports }: BeatingWorkers,
  process: string,
): Promise<void> {
  // $1 worker ids   $2 reports   $3 process
  const text = `
insert into ${schema.of("_private_workers")} (id, last_heartbeat_at, metadata, _howdah_process)
select worker.id, pg_catalog.now(), worker.report::pg_catalog.jsonb, $3::pg_catalog.text
from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) as worker(id, report)
on conflict (id) do nothing`;
  const values = [textArray(ids), jsonArray(reports), process];
  await executor.query({ name: "howdah_register_workers", text, values, timeoutMs, lost });
}

/** Ids of a worker, and what operators can learn of each, as JSON. */
export interface BeatingWorkers {
  readonly ids: readonly string[];
  readonly reports: readonly string[];
}

/**
 * Says that these workers live, what they do, and which lock stands for them. Returns those
 * that are registered and were not declared dead; the others are dead. An
 * UPDATE, because a dead worker must not come back by its heartbeats.
 */
export async function beat(
  { executor, schema, timeoutMs, lost }: LivenessTarget,
  workers: BeatingWorkers,
  lock: SessionLock | undefined,
): Promise<ReadonlySet<string>> {
  const { rows } = await executor.query({
    name: "howdah_beat",
    text: updateText(schema),
    values: beatValues(workers, lock),
    timeoutMs,
    lost,
  });
  return new Set(rows.map(([id]) => id ?? ""));
}

/**
 * The heartbeat. Two workers never beat for one id; a sweeper that declares it
 * dead has the row first, or not. The rows are locked by id, as sweepers do.
 */
function updateText(schema: Schema): string {
  // $1 worker ids   $2 lock key   $3 pid of the session that holds it   $4 reports
  return `
update ${schema.of("_private_workers")}
set last_heartbeat_at = pg_catalog.now(), _howdah_lock_key = $2::integer, _howdah_lock_pid = $3::integer,
  _howdah_lock_server = case when $2::integer is not null then pg_catalog.pg_postmaster_start_time() end,
  metadata = (($4::pg_catalog.text[])[pg_catalog.array_position($1::pg_catalog.text[], id)])::pg_catalog.jsonb
where id operator(pg_catalog.=) any(array(
  select id from ${schema.of("_private_workers")}
  where id operator(pg_catalog.=) any($1::pg_catalog.text[]) and _howdah_swept operator(pg_catalog.=) 0
  order by id for update
))
returning id`;
}

function beatValues({ ids, reports }: BeatingWorkers, lock: SessionLock | undefined): (string | null)[] {
  const [key, pid] = lock ? [String(lock.key), String(lock.pid)] : [null, null];
  return [textArray(ids), key, pid, jsonArray(reports)];
}

/** What came of a heartbeat that looked at all workers. */
export interface BeatAndLookAnswer {
  /** As {@link beat} returns them. */
  readonly alive: ReadonlySet<string>;
  /** Their own heartbeats as they were before this one. */
  readonly sightings: WorkerSightings;
}

/**
 * {@link beat}, and a look at all registered workers, in one statement. The look
 * is that of the moment at which the statement began, also when it had to wait
 * for a sweeper that was declaring one of these workers dead.
 */
export async function beatAndLook(
  { executor, schema, timeoutMs, lost }: LivenessTarget,
  workers: BeatingWorkers,
  lock: SessionLock | undefined,
): Promise<BeatAndLookAnswer> {
  const text = `
with beaten as (${updateText(schema)})
select worker.id, worker.beat, worker.lock, worker.swept, worker.server, worker.process, worker.same,
  beaten.id is not null, ${whatToSweep(schema)}
from ${schema.of("_howdah_workers_v1")}() as worker left join beaten on beaten.id operator(pg_catalog.=) worker.id`;
  const { rows } = await executor.query({
    name: "howdah_beat_and_look",
    text,
    values: beatValues(workers, lock),
    timeoutMs,
    lost,
  });
  // What follows the columns of a sighting.
  const alive = rows.flatMap(([id, , , , , , , isAlive]) => (isAlive === "t" ? (id ?? "") : []));
  return { alive: new Set(alive), sightings: readSightings(rows) };
}

/** Takes workers off the register that hold nothing any more. Harmless for those that are not there. */
export async function deregisterWorkers(
  { executor, schema, timeoutMs, lost }: LivenessTarget,
  workerIds: readonly string[],
): Promise<void> {
  const text = `delete from ${schema.of("_private_workers")} where ${lockedWorkers(schema)}`;
  await executor.query({ text, values: [textArray(workerIds)], timeoutMs, lost });
}

/**
 * Makes a session one that stands for a worker: the server notices within half a
 * minute when the other end has vanished, does not end it for idleness, and
 * holds a lock for as long as it lives, and one that is shared by all workers of
 * the schema: those that are not registered are idle. Listens to `channel`, too. `undefined`
 * when another session has a lock with this number.
 */
export async function lockSession(
  session: Executor,
  schema: Schema,
  { key, channel, timeoutMs }: { readonly key: number; readonly channel: string; readonly timeoutMs: number },
): Promise<SessionLock | undefined> {
  const { rows } = await session.query({
    text: `
set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
set tcp_user_timeout = ${VANISHED_MS}; set idle_session_timeout = 0; listen ${channel};
select pg_catalog.pg_try_advisory_lock_shared(${SCHEMA_LOCK_CLASS}, pg_catalog.hashtext(${schema.literal}));
select pg_catalog.pg_backend_pid(), pg_catalog.pg_try_advisory_lock(${LOCK_CLASS}, ${key})`,
    timeoutMs,
  });
  const [pid, isLocked] = rows[0] ?? [];
  return isLocked === "t" ? { key, pid: Number(pid) } : undefined;
}

/** Sends an empty notification to `channel`. */
export async function notifyChannel(executor: Executor, channel: string, timeoutMs: number): Promise<void> {
  // $1 channel
  await executor.query({ text: "select pg_catalog.pg_notify($1, '')", values: [channel], timeoutMs });
}

/** Whether the server says that this session holds this lock. */
export async function isSessionLocked(executor: Executor, lock: SessionLock, timeoutMs: number): Promise<boolean> {
  // $1 lock key   $2 pid
  const text = `
select from pg_catalog.pg_locks
where locktype operator(pg_catalog.=) 'advisory' and granted and objsubid operator(pg_catalog.=) 2 and classid operator(pg_catalog.=) ${LOCK_CLASS}
  and database operator(pg_catalog.=) (
    select oid from pg_catalog.pg_database where datname operator(pg_catalog.=) pg_catalog.current_database()
  )
  and objid operator(pg_catalog.=) $1::integer::pg_catalog.oid and pid operator(pg_catalog.=) $2::integer`;
  const { rows } = await executor.query({ text, values: [String(lock.key), String(lock.pid)], timeoutMs });
  return rows.length > 0;
}
