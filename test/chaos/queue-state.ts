import { systemClock } from "../../src/runtime/clock.ts";
import type { ChaosServer } from "./server.ts";
import type { FinalTables } from "./verdict.ts";

/** Nothing went on for so long: whatever is left now will be left for ever. */
const STUCK_MS = 60_000;
const REST_MS = 500;

/** Where statements are asked. */
export type Asked = Pick<ChaosServer, "ask">;

/**
 * Waits until no job waits or runs and no queue or lane is locked. Returns false when
 * nothing has changed for a minute.
 */
export function awaitDrained(server: Asked, say: (line: string) => void): Promise<boolean> {
  return awaitNothingLeft(server, { what: ["jobs", "queues"], say });
}

/** Waits until none of these workers is registered any more, and nothing is locked. */
export function awaitSwept(
  server: Asked,
  { dead, say }: { readonly dead: readonly string[]; readonly say: (line: string) => void },
): Promise<boolean> {
  return awaitNothingLeft(server, { what: ["jobs", "queues", "dead"], dead, say });
}

interface Awaited {
  readonly what: readonly ("jobs" | "queues" | "dead")[];
  readonly dead?: readonly string[];
  readonly say: (line: string) => void;
}

async function awaitNothingLeft(server: Asked, { what, dead = [], say }: Awaited): Promise<boolean> {
  let last = "";
  let changedAt = systemClock.monotonic();
  let saidAt = changedAt;
  for (;;) {
    const [found] = await server.ask(LEFT, [dead]).catch(() => []);
    if (found && what.every((kind) => found[kind] === 0)) return true;
    const now = systemClock.monotonic();
    const state = found ? what.map((kind) => `${found[kind]} ${kind}`).join(", ") : "the server does not answer";
    if (state !== last) changedAt = now;
    last = state;
    if (now - changedAt > STUCK_MS) return false;
    if (now - saidAt > 5_000) {
      say(`Left: ${state}`);
      saidAt = now;
    }
    await systemClock.sleep(REST_MS);
  }
}

const LEFT = `
  select
    (select count(*)::integer from howdah._private_jobs where attempts < max_attempts or locked_at is not null) as jobs,
    (select count(*)::integer from howdah._private_job_queues where locked_at is not null and _howdah_width is null)
      + (select count(*)::integer from howdah._howdah_lanes where locked_at is not null) as queues,
    (select count(*)::integer from howdah._private_workers where id = any($1::text[])) as dead`;

/** Lets the database write down which claims their holders ended, and when a worker was declared dead; nothing of it is the queue's. */
export async function watchEnds(server: ChaosServer): Promise<void> {
  await server.ask(`
    create table public.ends (id bigint, worker text, how text);
    create function public.note_end() returns trigger language plpgsql as $$ begin
      if tg_op = 'DELETE' then
        insert into public.ends values (old.id, old.locked_by, 'deleted');
      elsif old.locked_by is not null and new._howdah_released_at is distinct from old._howdah_released_at then
        insert into public.ends values (old.id, old.locked_by, 'kept');
      end if;
      return null;
    end $$;
    create trigger note_end after update or delete on howdah._private_jobs
      for each row execute function public.note_end();
    ${WATCH_DECLARATIONS}`);
}

/** Has the database write down when a worker was declared dead. */
export const WATCH_DECLARATIONS = `
    create table public.declared (worker text, at timestamptz);
    create function public.note_declared() returns trigger language plpgsql as $$ begin
      insert into public.declared values (new.id, clock_timestamp());
      return null;
    end $$;
    create trigger note_declared after update of _howdah_swept on howdah._private_workers
      for each row when (old._howdah_swept = 0 and new._howdah_swept > 0) execute function public.note_declared()`;

/** What is left when everybody has ended. */
export async function readFinalTables(server: Asked): Promise<FinalTables> {
  const jobs = await server.ask(`
    select id::text, payload ->> 'name' as name, attempts, max_attempts, locked_by, last_error
    from howdah._private_jobs order by id limit 1000000`);
  const kept = await server.ask("select id::text, result ->> 'name' as name from howdah._howdah_history order by id");
  const queues = await server.ask(
    `select queue_name, locked_by from howdah._private_job_queues where locked_at is not null and _howdah_width is null
     union all
     select 'lane ' || lane || ' of owner ' || owner_id, locked_by from howdah._howdah_lanes where locked_at is not null`,
  );
  const workers = await server.ask("select id from howdah._private_workers");
  const ends = await server.ask("select id::text, worker, how from public.ends where worker is not null");
  const declared = await server.ask(
    "select worker, extract(epoch from min(at)) * 1000 as at from public.declared group by worker",
  );
  return {
    declared: declared.map((row) => ({ worker: String(row["worker"]), atMs: Number(row["at"]) })),
    jobs: jobs.map((row) => ({
      id: String(row["id"]),
      name: String(row["name"]),
      attempts: Number(row["attempts"]),
      maxAttempts: Number(row["max_attempts"]),
      lockedBy: row["locked_by"] as string | null,
      lastError: row["last_error"] as string | null,
    })),
    kept: kept.map((row) => ({ id: String(row["id"]), name: row["name"] as string | null })),
    ends: ends.map((row) => ({
      id: String(row["id"]),
      worker: String(row["worker"]),
      how: row["how"] === "deleted" ? "deleted" : "kept",
    })),
    lockedQueues: queues.map((row) => ({ name: String(row["queue_name"]), lockedBy: String(row["locked_by"]) })),
    workers: workers.map((row) => String(row["id"])),
  };
}
