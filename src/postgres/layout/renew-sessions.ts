import { type Clock, systemClock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { quoteLiteral, type Schema } from "../schema.ts";
import { sqlStateOf } from "../sqlstate.ts";
import type { LayoutTarget } from "./without-others.ts";

/**
 * Ends idle sessions of workers of other implementations, so that they connect anew.
 * Their claims are prepared and answer with all columns of a job: PostgreSQL refuses such a
 * statement in every session that has prepared it before columns came or went, for as
 * long as the session lasts. A session shows itself by its last statement, so this looks
 * again until none has for `watchMs`. Sessions that are in a transaction are left
 * alone, and for half of that time those that rest only briefly: what such a one sends
 * at the moment when it is ended is lost, and a worker of theirs that cannot complete a job
 * stops. Their claims fail by then, so that they come to rest. Logs how many have ended, and when there may be some that this role may not
 * end. Answers how many have ended.
 */
export async function renewSessions(target: LayoutTarget, options: RenewOptions): Promise<number> {
  const { schema } = target;
  const { logger } = options;
  try {
    const { ended, hidden } = await endAll(target, options);
    if (ended > 0) {
      logger?.warn(`Ended ${ended} sessions of other workers on schema ${schema.quoted}, which connect anew`, {
        schema: schema.name,
        ended,
      });
    }
    if (hidden > 0) {
      logger?.warn(
        `Workers of others on schema ${schema.quoted} that connect with another role have to be restarted: ` +
          `this role may not see what ${hidden} sessions do`,
        { schema: schema.name, hidden },
      );
    }
    return ended;
  } catch (error) {
    if (sqlStateOf(error) !== "42501") throw error;
    logger?.warn(
      `Workers of others on schema ${schema.quoted} have to be restarted: this role may not end their sessions`,
      { schema: schema.name },
    );
    return 0;
  }
}

/** Which sessions are stale, and how long to look for them. */
export interface RenewOptions {
  /** When the columns had changed, as the database writes it. */
  readonly changedAt: string;
  /** How long none may have shown itself. Default 3000. */
  readonly watchMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

interface Renewed {
  readonly ended: number;
  /** Sessions of other roles, of which this one may not see what they do. */
  readonly hidden: number;
}

async function endAll({ driver, schema }: LayoutTarget, options: RenewOptions): Promise<Renewed> {
  const { watchMs = 3_000, clock = systemClock } = options;
  let ended = 0;
  let hidden = 0;
  for (let quietMs = 0; quietMs <= watchMs; quietMs += LOOK_MS) {
    const restMs = quietMs * 2 < watchMs ? REST_MS : 0;
    const { rows } = await driver.query({ text: endStale(schema, { ...options, restMs }) });
    const [count = 0, stale = 0, unseen = 0] = (rows[0] ?? []).map(Number);
    ended += count;
    hidden = unseen;
    if (count > 0) quietMs = 0;
    // Nearly always there are none at all.
    if (ended === 0 && stale === 0) break;
    await clock.sleep(LOOK_MS);
  }
  return { ended, hidden };
}

const LOOK_MS = 100;

/** A session that has been idle for this long will hardly send anything in the instant until it is ended. */
const REST_MS = 250;

interface Stale extends Pick<RenewOptions, "changedAt"> {
  /** How long they have to be idle. */
  readonly restMs: number;
}

function endStale({ quoted }: Schema, { changedAt, restMs }: Stale): string {
  const name = quoted.slice(1, -1).replaceAll(/[!-/:-@[-^`{-~]/g, "\\$&");
  const table = "_private_(jobs as jobs|job_queues as job_queues|tasks as tasks)";
  const theirs = quoteLiteral(`("${name}"|(^|[^\\w$"])${name})\\.${table}`);
  return `
with stale as materialized (
  select activity.pid,
    activity.state operator(pg_catalog.=) 'idle' and activity.state_change operator(pg_catalog.<=)
      (pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.make_interval(secs => ${restMs / 1_000})) as rests
  from pg_catalog.pg_stat_activity as activity
  where activity.datname operator(pg_catalog.=) pg_catalog.current_database()
    and activity.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
    and activity.backend_start operator(pg_catalog.<) ${quoteLiteral(changedAt)}::pg_catalog.timestamptz
    and activity.query operator(pg_catalog.~*) ${theirs}
)
select
  pg_catalog.count(*) filter (where rests and pg_catalog.pg_terminate_backend(pid)),
  pg_catalog.count(*),
  (
    select pg_catalog.count(*) from pg_catalog.pg_stat_activity as activity
    where activity.datname operator(pg_catalog.=) pg_catalog.current_database()
      and activity.usename operator(pg_catalog.<>) current_user
      and activity.query operator(pg_catalog.=) '<insufficient privilege>'
  )
from stale`;
}
