import type { Driver } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * Works while no other process changes the layout of the schema, in as many
 * transactions as it takes: a transaction that does nothing else holds a lock
 * meanwhile. It needs a second connection; a driver with one has no others beside it.
 */
export async function withoutOthers<T>({ driver, schema }: LayoutTarget, work: () => Promise<T>): Promise<T> {
  if (driver.capabilities?.connections === 1) return work();
  return driver.transaction(async (holder) => {
    await holder.query({ text: PATIENT });
    await holder.query({ text: LOCK, values: [`howdah layout ${schema.name}`], timeoutMs: WAIT_MS });
    return work();
  });
}

/** Where a layout is changed. */
export interface LayoutTarget {
  readonly driver: Driver;
  readonly schema: Schema;
}

/** The transaction idles and holds no snapshot, so that no index build waits for it. */
const PATIENT = `
select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings
where name operator(pg_catalog.=) any
  ('{statement_timeout,lock_timeout,idle_in_transaction_session_timeout,transaction_timeout}'::pg_catalog.text[])`;

// $1 what is locked
const LOCK = `
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))`;

const WAIT_MS = 3_600_000;
