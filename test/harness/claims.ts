import type pg from "pg";
import type { Driver } from "../../src/postgres/driver.ts";
import { type ClaimAnswer } from "../../src/postgres/queries/claim-answer.ts";
import { createClaim, type ClaimRequest } from "../../src/postgres/queries/claim.ts";
import { createClaimNamed, type NamedClaimAnswer } from "../../src/postgres/queries/claim-named.ts";
import { createRelease, type ReleaseAnswer } from "../../src/postgres/queries/ending/release.ts";
import type { JobChange, ReleaseRequest } from "../../src/postgres/queries/ending/release-request.ts";
import { registerTasks } from "../../src/postgres/queries/register-tasks.ts";
import type { TestDatabase } from "./database.ts";
import { claimOf } from "./fake-claims.ts";

/** Claims and releases of one worker id, through one session or through the database's driver. */
export interface Claims {
  /** With defaults that look everywhere: no floors, a window, one job of a queue. */
  claim(wanted?: Partial<ClaimRequest>): Promise<ClaimAnswer>;
  /** Jobs without a queue, by their ids. */
  claimNamed(jobIds: readonly string[], forbiddenFlags?: readonly string[]): Promise<NamedClaimAnswer>;
  release(ended: Partial<ReleaseRequest>): Promise<ReleaseAnswer>;
}

/** Prepares claims for `workerId` and one task, "t", which is registered here. */
export async function createClaims(database: TestDatabase, workerId = "w", session?: pg.Client): Promise<Claims> {
  const [taskId = 0] = (await registerTasks(database.driver, database.schema, ["t"])).keys();
  const driver = session ? driverOf(session) : database.driver;
  const claim = createClaim(driver, database.schema);
  const claimNamed = createClaimNamed(driver, database.schema);
  const release = createRelease(driver, database.schema);
  return {
    claim: (wanted = {}) =>
      claim({
        ...claimOf(workerId, taskId),
        windowAfter: 0,
        mostQueues: wanted.quantity ?? 10,
        ...wanted,
      }),
    claimNamed: (jobIds, forbiddenFlags) =>
      claimNamed({ workerId, jobIds, taskIds: [taskId], forbiddenFlags: forbiddenFlags ?? null }),
    release: (ended) =>
      release({ workerId, claimTimes: [], completed: [], changed: [], chainEnds: [], patient: true, ...ended }),
  };
}

/** A session of `pg` as the part of a driver that claims and releases use. */
export function driverOf(session: pg.Client): Driver {
  const types = { getTypeParser: () => (text: string) => text };
  const query: Driver["query"] = async ({ text, values }) => {
    const { rows, rowCount } = await session.query({ text, values: [...(values ?? [])], rowMode: "array", types });
    return { rows: rows as (string | null)[][], count: rowCount ?? 0 };
  };
  return { query } as Driver;
}

/** The ids of the claimed jobs, in the order of claims. */
export function idsOf({ jobs }: ClaimAnswer): number[] {
  return jobs
    .map(({ id, priority, runAt }) => ({ id: Number(id), place: [priority, runAt, id].map(BigInt) }))
    .sort((a, b) =>
      Number(a.place.map((part, index) => part - (b.place[index] ?? 0n)).find((part) => part !== 0n) ?? 0n),
    )
    .map(({ id }) => id);
}

/** A job that goes back unchanged but for what is said here. */
export function changeOf(id: number | string, change: Partial<JobChange> = {}): JobChange {
  return { id: String(id), refund: false, final: false, delayMs: null, message: null, payload: null, ...change };
}

/** Every job that is there, by id. */
export async function jobsById(database: TestDatabase): Promise<Record<string, Record<string, unknown>>> {
  const rows = await database.sql("select * from howdah._private_jobs order by id");
  return Object.fromEntries(rows.map((row) => [row["id"], row]));
}

/** Removes all jobs and queues and begins with the ids at 1 again. */
export async function empty(database: TestDatabase): Promise<void> {
  // A test that failed may have left a transaction open: the next one must fail, not wait.
  await database.sql(
    "set lock_timeout = '5s'; truncate howdah._private_jobs, howdah._private_job_queues restart identity; reset lock_timeout",
  );
}

/**
 * Lets one statement of a session stop between its snapshot and its first lock:
 * where it looks at a row of `table` for the `nth` time. The rows are looked at
 * by a policy that asks for an advisory lock, so the session takes a role that
 * policies apply to.
 */
export async function stopAtRow(
  database: TestDatabase,
  session: pg.Client,
  table: string,
  nth: number,
): Promise<StopPoint> {
  const gate = await database.connect();
  const role = `stopped_${new URL(database.connectionString).pathname.slice(1)}`;
  await gate.query(`
    do $$ begin if to_regrole('${role}') is null then create role ${role}; end if; end $$;
    grant usage on schema howdah, public to ${role};
    grant all on all tables in schema howdah to ${role};
    create sequence public.looks;
    grant usage on sequence public.looks to ${role};
    create function public.stop() returns boolean language plpgsql volatile as $$
      begin
        if nextval('public.looks') = ${nth} then
          perform pg_advisory_xact_lock_shared(42);
        end if;
        return true;
      end
    $$;
    alter table howdah.${table} enable row level security;
    create policy stop on howdah.${table} using (public.stop());
    select pg_advisory_lock(42)`);
  await session.query(`set role ${role}`);
  return {
    session: gate,
    async pass() {
      await gate.query("select pg_advisory_unlock(42)");
    },
    async remove() {
      // Released here as well, in case that none passed.
      await gate.query("set lock_timeout = '5s'; select pg_advisory_unlock_all()");
      await session.end();
      await gate.query(`
        drop policy stop on howdah.${table};
        alter table howdah.${table} disable row level security;
        drop function public.stop();
        drop sequence public.looks;
        drop owned by ${role};
        drop role ${role}`);
      await gate.end();
    },
  };
}

/** Where a statement stands still. */
export interface StopPoint {
  /** Holds the lock that the statement waits for. */
  readonly session: pg.Client;
  /** Lets it go on. */
  pass(): Promise<void>;
  /** Takes the stop point away. */
  remove(): Promise<void>;
}
