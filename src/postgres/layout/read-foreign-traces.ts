import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * What there is to see of workers of other implementations. Run inside of a
 * transaction whose search_path is pg_catalog. Reads the whole table of jobs.
 */
export async function readForeignTraces(executor: Executor, schema: Schema): Promise<Traces> {
  const text = `
select
  (select json_agg(holder order by holder) from (
    select locked_by from ${schema.of("_private_jobs")}
    union
    select locked_by from ${schema.of("_private_job_queues")} where locked_by <> '_howdah_lanes'
  ) as lock(holder) where ${ofOthers("holder")}),
  (select json_agg(id order by id) from ${schema.of("_private_workers")}
    where ${ofOthers("id")} and last_heartbeat_at > now() - interval '5 minutes'),
  (select json_agg(json_build_object('pid', pid, 'application', application_name, 'user', usename) order by pid)
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and application_name not like 'howdah%'
      and (query ~* 'listen "jobs:insert"' or query ~* 'worker:migrate' or query like '%\\_private\\_jobs as jobs%')),
  (select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and usename <> current_user and query = '<insufficient privilege>')`;
  const { rows } = await executor.query({ text });
  const [holders, registered, sessions, hidden] = rows[0] ?? [];
  return {
    holders: JSON.parse(holders ?? "[]") as string[],
    registered: JSON.parse(registered ?? "[]") as string[],
    sessions: JSON.parse(sessions ?? "[]") as SeenSession[],
    hiddenSessions: Number(hidden ?? 0),
  };
}

/** What is seen of workers of other implementations. */
export interface Traces {
  /** Who has locked jobs or queues. */
  readonly holders: readonly string[];
  /** Who has given a sign of life within five minutes; graphile-worker never does. */
  readonly registered: readonly string[];
  /** Sessions whose last statement is one of theirs. */
  readonly sessions: readonly SeenSession[];
  /** Sessions of other roles, of which this one may not see what they do. */
  readonly hiddenSessions: number;
}

/** A session that another implementation may have opened. */
export interface SeenSession {
  readonly pid: number;
  readonly application: string;
  readonly user: string;
}

/** The ids of Howdah's workers have one form. */
function ofOthers(column: string): string {
  return `${column} !~ '^howdah_[0-9a-f]{18}$'`;
}
