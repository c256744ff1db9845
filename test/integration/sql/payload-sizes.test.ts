import { afterAll, beforeEach, expect, it } from "vitest";
import { createClaims, empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// Pages of jobs keep room for the versions that claims write, whatever the size of the payloads.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => empty(database));

const JOBS = 400;

/** Stores jobs with payloads of this many bytes, half of them hardly compressible; each fifth has one attempt. */
async function addJobs(bytes: number): Promise<void> {
  await database.sql(
    `with noise as materialized (select string_agg(md5(n::text), '') as hex from generate_series(1, 1000) as n)
    insert into howdah._private_jobs (task_id, payload, max_attempts)
    select (select id from howdah._private_tasks where identifier = 't'),
      format('{"n":%s,"text":"%s%s"}', n, substr(hex, 1 + n * 7919 % 20000, $2::integer / 2), repeat('x', $2 - $2 / 2))::json,
      case when n % 5 = 0 then 1 else 25 end
    from noise, generate_series(1, $1::integer) as n`,
    [JOBS, Math.max(bytes - JSON.stringify({ n: JOBS, text: "" }).length, 0)],
  );
}

// A batch is claimed whole before any of it is released: nothing makes room on the pages meanwhile.
it.each([0, 100, 300, 500, 1_000, 1_300, 1_500, 1_800, 1_950, 2_050, 4_000, 20_000])(
  "jobs with %i bytes are claimed by updates that leave the indexes alone",
  async (bytes) => {
    const session = await database.connect();
    const { claim } = await createClaims(database, "howdah_0123456789abcdef01", session);
    await addJobs(bytes);
    await session.query("begin");
    const { jobs } = await claim({ quantity: JOBS });
    const { rows } = await session.query(`
      select n_tup_upd::int as updated, n_tup_hot_upd::int as hot
      from pg_stat_xact_user_tables where relid = 'howdah._private_jobs'::regclass`);
    await session.query("rollback");
    expect(jobs).toHaveLength(JOBS);
    expect(rows).toEqual([{ updated: JOBS, hot: JOBS }]);
  },
);
