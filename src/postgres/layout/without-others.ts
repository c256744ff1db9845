import { backoffMs } from "../../runtime/backoff.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import type { Driver, Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * Works while no other process changes the layout of the schema, in as many
 * transactions as it takes: a transaction that does nothing else holds a lock
 * meanwhile. It needs a second connection; a driver with one has no others beside it.
 */
export async function withoutOthers<T>(target: LayoutTarget, work: () => Promise<T>): Promise<T> {
  const { driver, clock = systemClock } = target;
  if (driver.capabilities?.connections === 1) return work();
  for (let tries = 1; ; tries += 1) {
    const done = await driver.transaction((holder) => workHolding(holder, target, work));
    if (done) return done.result;
    // Between two tries there is no transaction: the other process waits for those that it has met when it builds an index.
    await clock.sleep(backoffMs(RETRY, tries));
  }
}

/** Works, if the lock is free. A statement that waits would have a snapshot meanwhile. */
async function workHolding<T>(
  holder: Executor,
  { schema }: LayoutTarget,
  work: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  await holder.query({ text: PATIENT });
  const { rows } = await holder.query({ text: TRY, values: [`howdah layout ${schema.name}`] });
  if (rows[0]?.[0] !== "t") return undefined;
  await holder.query({ text: FORGETFUL });
  return { result: await work() };
}

/** Where a layout is changed. */
export interface LayoutTarget {
  readonly driver: Driver;
  readonly schema: Schema;
  /** The source of time for the rests between tries. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** The transaction idles for as long as the work takes. */
const PATIENT = `
select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings
where name operator(pg_catalog.=) any
  ('{statement_timeout,lock_timeout,idle_in_transaction_session_timeout,transaction_timeout}'::pg_catalog.text[])`;

// $1 what is locked
const TRY = `
select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))`;

/**
 * The last statement of a transaction keeps its snapshot until the next one, and builds
 * of indexes would wait for that. This one has none.
 */
const FORGETFUL = "set local lock_timeout = 0";

const RETRY = { firstMs: 50, maxMs: 500 };
