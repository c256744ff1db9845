import { type Clock, systemClock } from "../../runtime/clock.ts";
import { quoteLiteral, type Schema } from "../schema.ts";
import type { LayoutTarget } from "./without-others.ts";

/**
 * Ends idle sessions of workers of other implementations, so that they connect anew.
 * Their claims are prepared and answer with all columns of a job: PostgreSQL refuses such a
 * statement in every session that has prepared it before a column was added, for as
 * long as the session lasts. A session shows itself by its last statement, so this looks
 * again until none has for `watchMs`. Sessions that are in a transaction are
 * left alone. Answers how many have ended.
 */
export async function renewSessions(target: LayoutTarget, options: RenewOptions): Promise<number> {
  const { watchMs = 3_000, clock = systemClock } = options;
  const text = endStale(target.schema, options.changedAt);
  let ended = 0;
  for (let quietMs = 0; quietMs <= watchMs; quietMs += LOOK_MS) {
    const { rows } = await target.driver.query({ text });
    const count = Number(rows[0]?.[0] ?? 0);
    ended += count;
    if (count > 0) quietMs = 0;
    // Nearly always there are none at all.
    if (ended === 0 && rows[0]?.[1] === "0") return 0;
    await clock.sleep(LOOK_MS);
  }
  return ended;
}

/** Which sessions are stale, and how long to look for them. */
export interface RenewOptions {
  /** When the columns had been added, as the database writes it. */
  readonly changedAt: string;
  /** How long none may have shown itself. Default 3000. */
  readonly watchMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

const LOOK_MS = 100;

function endStale({ name }: Schema, changedAt: string): string {
  const quoted = name.replaceAll(/[^\w]/g, "\\$&");
  const theirs = quoteLiteral(`${quoted}"?\\._private_(jobs as jobs|job_queues as job_queues|tasks as tasks)`);
  return `
with stale as materialized (
  select activity.pid, activity.state
  from pg_catalog.pg_stat_activity as activity
  where activity.datname operator(pg_catalog.=) pg_catalog.current_database()
    and activity.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
    and activity.backend_start operator(pg_catalog.<) ${quoteLiteral(changedAt)}::pg_catalog.timestamptz
    and activity.query operator(pg_catalog.~*) ${theirs}
)
select
  pg_catalog.count(*) filter (where state operator(pg_catalog.=) 'idle' and pg_catalog.pg_terminate_backend(pid)),
  pg_catalog.count(*)
from stale`;
}
