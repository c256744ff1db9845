import { type Asked, WATCH_DECLARATIONS } from "../../chaos/queue-state.ts";

/** Jobs of one queue that one claim has locked. */
export interface SharedClaim {
  readonly worker: string;
  readonly queue: string;
  /** In milliseconds since 1970. */
  readonly atMs: number;
}

/** Claims, as the database saw them. */
export interface WatchedClaims {
  /** Those that locked several jobs of one queue at once. */
  readonly shared: readonly SharedClaim[];
  /** When each job was claimed, by its id, in milliseconds since 1970. */
  readonly times: ReadonlyMap<string, readonly number[]>;
}

/** Lets the database write down who claimed and who ended which job, on both sides; nothing of it belongs to a queue. */
export async function watchClaims(server: Asked): Promise<void> {
  await server.ask(`
    create table public.claims (id bigint, queue_id integer, worker text, at timestamptz);
    create table public.ends (id bigint, worker text, how text);
    create function public.note_claim() returns trigger language plpgsql as $$ begin
      if tg_op = 'DELETE' then
        insert into public.ends values (old.id, old.locked_by, 'deleted');
        return null;
      end if;
      if old.locked_at is not distinct from new.locked_at and old.locked_by is not distinct from new.locked_by then
        return null;
      end if;
      if old.locked_by is not null then
        insert into public.ends values (old.id, old.locked_by, 'kept');
      end if;
      if new.locked_by is not null then
        insert into public.claims values (new.id, new.job_queue_id, new.locked_by, new.locked_at);
      end if;
      return null;
    end $$;
    create trigger note_claim after update or delete on howdah._private_jobs
      for each row execute function public.note_claim();
    ${WATCH_DECLARATIONS}`);
}

/** What {@link watchClaims} has written down. */
export async function readClaims(server: Asked): Promise<WatchedClaims> {
  const shared = await server.ask(`
    select worker, queue_name, floor(extract(epoch from at) * 1000)::float8 as at_ms
    from public.claims join howdah._private_job_queues queues on queues.id = queue_id
    group by worker, queue_name, at having count(*) > 1`);
  const claims = await server.ask(
    "select id::text, floor(extract(epoch from at) * 1000)::float8 as at_ms from public.claims",
  );
  const times = new Map<string, number[]>();
  for (const { id, at_ms: atMs } of claims) times.set(String(id), [...(times.get(String(id)) ?? []), Number(atMs)]);
  return {
    shared: shared.map((row) => ({
      worker: String(row["worker"]),
      queue: String(row["queue_name"]),
      atMs: Number(row["at_ms"]),
    })),
    times,
  };
}
