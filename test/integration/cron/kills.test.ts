import { afterAll, expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

const TICKS = 10_000;
const MINUTE = 60_000;
const FROM = Date.parse("2026-02-01T00:00:00Z");
/** The ticks of some 25 seconds. */
const SPEED = (TICKS * MINUTE) / 25_000;

const database = await createDatabase();
afterAll(() => database.drop());

/** Where a transaction can be stopped. The holder of one of these locks lets no transaction past that point. */
const STAGES = { "tick due": 1, "ledger row": 2, "job added": 3 } as const;
/** What happens to the one that was stopped. */
const FATES = ["its process dies", "its process and its connection die", "its connection dies"] as const;

async function installStops(): Promise<void> {
  await database.sql(`
    create function stop_at() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock_shared(tg_argv[0]::bigint);
      return new;
    end $$;
    create trigger before_ledger before insert or update on howdah._private_known_crontabs
      for each row execute function stop_at(${STAGES["tick due"]});
    create trigger after_ledger after update on howdah._private_known_crontabs
      for each row execute function stop_at(${STAGES["ledger row"]});
    create trigger after_job after insert on howdah._private_jobs
      for each row execute function stop_at(${STAGES["job added"]})`);
}

const origin = systemClock.now();
const workers = new Map<string, TestProcess>();

async function startWorker(name: string): Promise<void> {
  const process = await startNode(new URL("../fixtures/cron-worker.mjs", import.meta.url), {
    args: [name, String(origin)],
    env: {
      DATABASE_URL: database.connectionString,
      FROM: String(FROM),
      SPEED: String(SPEED),
      CRONTAB: "* * * * * tick ?fill=8w",
    },
  });
  workers.set(name, process);
}

/** Stops a transaction of some worker at `stage`, lets its fate happen, and starts the worker again if it died. */
async function strike(stage: keyof typeof STAGES, fate: (typeof FATES)[number]): Promise<void> {
  const session = await database.connect();
  await session.query("select pg_advisory_lock($1)", [STAGES[stage]]);
  const { pid, name } = await until(async () => {
    const { rows } = await session.query<{ pid: number; name: string }>(
      `select lock.pid, activity.application_name as name
       from pg_locks as lock join pg_stat_activity as activity using (pid)
       where lock.locktype = 'advisory' and lock.objid = $1 and not lock.granted and activity.datname = current_database()`,
      [STAGES[stage]],
    );
    return rows[0];
  });
  const victim = workers.get(name);
  if (fate !== "its connection dies") {
    victim?.kill();
    await victim?.ended;
  }
  if (fate !== "its process dies") await session.query("select pg_terminate_backend($1)", [pid]);
  await session.query("select pg_advisory_unlock($1)", [STAGES[stage]]);
  await session.end();
  if (fate !== "its connection dies") await startWorker(name);
}

it(
  "adds each of 10,000 ticks exactly once, whatever dies between the tick, the ledger row and the job",
  { timeout: 180_000 },
  async () => {
    await installStops();
    await database.sql("insert into howdah._private_known_crontabs values ('tick', $1, $1)", [new Date(FROM)]);
    await Promise.all(["one", "two", "three"].map(startWorker));
    let strikes = 0;
    for (let round = 0; round < 3; round++) {
      for (const fate of FATES) {
        for (const stage of Object.keys(STAGES) as (keyof typeof STAGES)[]) {
          await strike(stage, fate);
          strikes += 1;
        }
      }
    }
    expect(strikes).toBe(27);
    await until(
      async () => {
        const [row] = await database.sql("select last_execution from howdah._private_known_crontabs");
        return (row!["last_execution"] as Date).getTime() >= FROM + TICKS * MINUTE;
      },
      { deadlineMs: 120_000, message: "the last tick" },
    );
    // One snapshot: the workers have not stopped yet.
    const [result] = await database.sql(`
      select
        (select extract(epoch from last_execution)::bigint::text from howdah._private_known_crontabs) as known,
        extract(epoch from max(run_at))::bigint::text as last,
        extract(epoch from min(run_at))::bigint::text as first,
        count(*)::integer as jobs,
        count(distinct run_at)::integer as ticks,
        bool_and((payload -> '_cron' ->> 'ts')::timestamptz = run_at) as same
      from howdah._private_jobs`);
    const { known, jobs } = result as { known: string; jobs: number };
    expect(jobs).toBeGreaterThanOrEqual(TICKS);
    const lastMs = FROM + jobs * MINUTE;
    expect(result).toEqual({
      jobs,
      ticks: jobs,
      same: true,
      first: String((FROM + MINUTE) / 1000),
      last: String(lastMs / 1000),
      known,
    });
    expect(known).toBe(String(lastMs / 1000));
  },
);
