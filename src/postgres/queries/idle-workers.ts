import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * The idle workers of a schema: sessions that hold the lock which every session
 * of a worker shares there, and that no registered worker has.
 */
export async function listIdleWorkers(executor: Executor, schema: Schema): Promise<readonly IdleWorkerRecord[]> {
  const text = `
select mark.pid, activity.client_addr is not distinct from pg_catalog.inet_client_addr()
from (${idleSessions(schema)}) as mark
left join pg_catalog.pg_stat_activity as activity on activity.pid operator(pg_catalog.=) mark.pid
order by mark.pid`;
  const { rows } = await executor.query({ text });
  return rows.map(([pid, isFromHere]) => ({ serverPid: Number(pid), isFromHere: isFromHere === "t" }));
}

/** An idle worker, as far as the server knows it. */
export interface IdleWorkerRecord {
  /** The process of the server on which it listens. */
  readonly serverPid: number;
  readonly isFromHere: boolean;
}

/** A subquery with the `pid` of each session that an idle worker listens on. */
export function idleSessions(schema: Schema): string {
  return `
  select locks.pid from pg_catalog.pg_locks as locks
  where locks.locktype operator(pg_catalog.=) 'advisory' and locks.granted and locks.objsubid operator(pg_catalog.=) 2
    and locks.classid operator(pg_catalog.=) ${SCHEMA_LOCK_CLASS} and locks.objid operator(pg_catalog.=) pg_catalog.hashtext(${schema.literal})::pg_catalog.oid
    and locks.database operator(pg_catalog.=) (
      select oid from pg_catalog.pg_database where datname operator(pg_catalog.=) pg_catalog.current_database()
    )
    and not exists (
      select from ${schema.of("_private_workers")} as registered
      where registered._howdah_lock_pid operator(pg_catalog.=) locks.pid and registered._howdah_swept operator(pg_catalog.=) 0
    )`;
}

/** The first number of the lock that sessions of workers share in each schema; the second is a hash of its name. */
export const SCHEMA_LOCK_CLASS = 1_752_135_527;
