import { afterAll, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());

async function texts(query: string): Promise<string[]> {
  const rows = await database.sql(`select line from (${query}) as lines(line)`);
  return rows.map((row) => row["line"] as string);
}

/** `name type`, then what is special: `!` not null, `= default`, `identity`, `generated`. */
function columnsOf(relation: string): Promise<string[]> {
  return texts(`
    select concat_ws(' ',
      attname, format_type(atttypid, atttypmod), case when attnotnull then '!' end,
      case when attidentity = 'a' then 'identity' end, case when attgenerated = 's' then 'generated' end,
      '= ' || pg_get_expr(adbin, adrelid)
    )
    from pg_attribute
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = 'howdah.${relation}'::regclass and attnum > 0 and not attisdropped
    order by attnum`);
}

describe("tables", () => {
  it("has the columns of the shared interface on jobs, and its own after them", async () => {
    expect(await columnsOf("_private_jobs")).toEqual([
      "id bigint ! identity",
      "job_queue_id integer",
      "task_id integer !",
      "payload json ! = '{}'::json",
      "priority smallint ! = 0",
      "run_at timestamp with time zone ! = now()",
      "attempts smallint ! = 0",
      "max_attempts smallint ! = 25",
      "last_error text",
      "created_at timestamp with time zone ! = now()",
      "updated_at timestamp with time zone ! = now()",
      "key text",
      "locked_at timestamp with time zone",
      "locked_by text",
      "revision integer ! = 0",
      "flags jsonb",
      "is_available boolean ! generated = ((locked_at IS NULL) AND (attempts < max_attempts))",
      "_howdah_exhausted boolean ! generated = ((locked_at IS NULL) AND (attempts >= max_attempts))",
      "_howdah_recoveries smallint ! = 0",
      "_howdah_detached boolean ! = false",
      "_howdah_timeout_ms integer",
      "_howdah_cancelled text",
      "_howdah_released_at timestamp with time zone",
      "_howdah_group_id bigint",
      "_howdah_awaited boolean",
    ]);
  });

  it("has the columns of the shared interface on the other tables", async () => {
    expect(await columnsOf("_private_job_queues")).toEqual([
      "id integer ! identity",
      "queue_name text !",
      "locked_at timestamp with time zone",
      "locked_by text",
      "is_available boolean ! generated = (locked_at IS NULL)",
      "_howdah_paused_until timestamp with time zone",
      "_howdah_width smallint",
      "_howdah_pool_id integer",
      "_howdah_share smallint",
      "_howdah_parked_until timestamp with time zone",
      "_howdah_rules_revision integer ! = 0",
    ]);
    expect(await columnsOf("_private_tasks")).toEqual([
      "id integer ! identity",
      "identifier text !",
      "_howdah_keep smallint",
      "_howdah_keep_payload boolean ! = false",
      "_howdah_keep_result boolean ! = false",
      "_howdah_dead_letter text",
    ]);
    expect(await columnsOf("_private_known_crontabs")).toEqual([
      "identifier text !",
      "known_since timestamp with time zone !",
      "last_execution timestamp with time zone",
    ]);
    expect(await columnsOf("_private_workers")).toEqual([
      "id text !",
      "last_heartbeat_at timestamp with time zone !",
      "started_at timestamp with time zone ! = now()",
      "metadata jsonb",
      "_howdah_lock_key integer",
      "_howdah_lock_pid integer",
      "_howdah_lock_server timestamp with time zone",
      "_howdah_process text",
      "_howdah_absent_ms integer",
      "_howdah_absent_until timestamp with time zone",
      "_howdah_absent_beat timestamp with time zone",
      "_howdah_swept smallint ! = 0",
      "_howdah_unlocked_at timestamp with time zone",
    ]);
    expect(await columnsOf("migrations")).toEqual([
      "id integer !",
      "ts timestamp with time zone ! = now()",
      "breaking boolean ! = false",
    ]);
  });

  it("has the composite type of bulk adds and the view of jobs", async () => {
    expect(await columnsOf("job_spec")).toEqual([
      "identifier text",
      "payload json",
      "queue_name text",
      "run_at timestamp with time zone",
      "max_attempts smallint",
      "job_key text",
      "priority smallint",
      "flags text[]",
    ]);
    expect(await columnsOf("jobs")).toEqual([
      "id bigint",
      "queue_name text",
      "task_identifier text",
      "priority smallint",
      "run_at timestamp with time zone",
      "attempts smallint",
      "max_attempts smallint",
      "last_error text",
      "created_at timestamp with time zone",
      "updated_at timestamp with time zone",
      "key text",
      "locked_at timestamp with time zone",
      "locked_by text",
      "revision integer",
      "flags jsonb",
    ]);
  });

  it("names constraints and sequences as the other implementations do", async () => {
    const constraints = await texts(`
      select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
      where connamespace = 'howdah'::regnamespace and contype <> 'n'
        and conrelid <> to_regclass('howdah._howdah_migrations') and conname not like '\\_howdah%'
      order by conrelid::regclass::text collate "C", conname collate "C"`);
    expect(constraints).toEqual([
      "job_queues_pkey1 PRIMARY KEY (id)",
      "job_queues_queue_name_check CHECK ((length(queue_name) <= 128))",
      "job_queues_queue_name_key UNIQUE (queue_name)",
      "jobs_key_check CHECK (((length(key) > 0) AND (length(key) <= 512)))",
      "jobs_key_key1 UNIQUE (key)",
      "jobs_max_attempts_check CHECK ((max_attempts >= 1))",
      "jobs_pkey1 PRIMARY KEY (id)",
      "known_crontabs_pkey PRIMARY KEY (identifier)",
      "tasks_identifier_check CHECK ((length(identifier) <= 128))",
      "tasks_identifier_key UNIQUE (identifier)",
      "tasks_pkey PRIMARY KEY (id)",
      "_private_workers_pkey PRIMARY KEY (id)",
      "migrations_pkey PRIMARY KEY (id)",
    ]);
    const sequences = await texts(`
      select sequencename || ' ' || data_type from pg_sequences where schemaname = 'howdah' and sequencename not like '\\_howdah%'
      order by 1`);
    expect(sequences).toEqual(["job_queues_id_seq integer", "jobs_id_seq1 bigint", "tasks_id_seq integer"]);
  });

  it("has a key on every table, so that updates and deletes can be published", async () => {
    const found = await texts(`
      select relname || case when pg_index.indrelid is null then ' has no key' else '' end
      from pg_class left join pg_index on pg_index.indrelid = pg_class.oid and pg_index.indisprimary
      where relnamespace = 'howdah'::regnamespace and relkind in ('r', 'p')
      order by relname collate "C"`);
    expect(found.length).toBeGreaterThanOrEqual(10);
    expect(found.filter((line) => line.includes(" "))).toEqual([]);
  });

  it("has no triggers, rules, policies, foreign keys or comments, but for triggers on a table of its own", async () => {
    const found = await texts(`
      select 'trigger ' || tgname from pg_trigger
        join pg_class on pg_class.oid = tgrelid
        where relnamespace = 'howdah'::regnamespace and relname not like '\\_howdah\\_%'
      union all select 'policy ' || polname from pg_policy
      union all select 'row security ' || relname from pg_class
        where relnamespace = 'howdah'::regnamespace and relrowsecurity
      union all select 'foreign key ' || conname from pg_constraint
        where connamespace = 'howdah'::regnamespace and contype = 'f'`);
    expect(found).toEqual([]);
  });

  it("tells the other implementations that their migrations are in place", async () => {
    const rows = await database.sql("select id, breaking from howdah.migrations order by id");
    expect(rows.map((row) => row["id"])).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(rows.filter((row) => row["breaking"]).map((row) => row["id"])).toEqual([1, 3, 11, 13, 14, 16, 19]);
  });
});

describe("indexes", () => {
  const CLAIMED = ["locked_at", "locked_by", "attempts", "is_available"];

  it("indexes nothing that a claim changes, so that a claim is a HOT update", async () => {
    const used = await texts(`
      select distinct attname::text from pg_index
      join pg_depend on pg_depend.classid = 'pg_class'::regclass and pg_depend.objid = indexrelid
        and refclassid = 'pg_class'::regclass and refobjid = indrelid and refobjsubid > 0
      join pg_attribute on attrelid = indrelid and attnum = refobjsubid
      where indrelid = 'howdah._private_jobs'::regclass`);
    expect(used).toContain("_howdah_exhausted");
    expect(used.filter((column) => CLAIMED.includes(column))).toEqual([]);
  });

  it("keeps claims HOT, the last attempt included", async () => {
    await database.sql(`
      insert into howdah._private_jobs (task_id, max_attempts, job_queue_id)
      select 1, 1 + number % 2, nullif(number % 3, 0) from generate_series(1, 500) as number`);
    const session = await database.connect();
    await session.query("begin");
    await session.query(`
      update howdah._private_jobs
      set locked_at = now(), locked_by = 'howdah_0123456789abcdef01', attempts = attempts + 1`);
    const { rows } = await session.query(`
      select n_tup_upd::int as updated, n_tup_hot_upd::int as hot
      from pg_stat_xact_user_tables where relid = 'howdah._private_jobs'::regclass`);
    await session.query("rollback");
    expect(rows).toEqual([{ updated: 500, hot: 500 }]);
  });
});

describe("functions", () => {
  it("has the public functions with the names, arguments, defaults and results of the shared interface", async () => {
    const functions = await texts(`
      select proname || '(' || pg_get_function_arguments(oid) || ') ' || pg_get_function_result(oid)
        || case when proisstrict then ' strict' else '' end
      from pg_proc where pronamespace = 'howdah'::regnamespace and proname not like '\\_howdah%'
      order by proname collate "C"`);
    expect(functions).toEqual([
      "add_job(identifier text, payload json DEFAULT NULL::json, queue_name text DEFAULT NULL::text, " +
        "run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, " +
        "max_attempts integer DEFAULT NULL::integer, job_key text DEFAULT NULL::text, " +
        "priority integer DEFAULT NULL::integer, flags text[] DEFAULT NULL::text[], " +
        "job_key_mode text DEFAULT 'replace'::text) howdah._private_jobs",
      "add_jobs(specs howdah.job_spec[], job_key_preserve_run_at boolean DEFAULT false) SETOF howdah._private_jobs",
      "complete_jobs(job_ids bigint[]) SETOF howdah._private_jobs",
      "delete_stale_workers(worker_ids text[]) void",
      "force_unlock_workers(worker_ids text[]) void",
      "list_orphan_locked_workers(stale_threshold interval) TABLE(worker_id text)",
      "list_stale_workers(stale_threshold interval) TABLE(worker_id text)",
      "permanently_fail_jobs(job_ids bigint[], error_message text DEFAULT NULL::text) SETOF howdah._private_jobs",
      "recover_dead_worker_jobs(worker_ids text[], recovery_delay interval DEFAULT '00:00:00'::interval) integer",
      "remove_job(job_key text) howdah._private_jobs strict",
      "reschedule_jobs(job_ids bigint[], run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, " +
        "priority integer DEFAULT NULL::integer, attempts integer DEFAULT NULL::integer, " +
        "max_attempts integer DEFAULT NULL::integer) SETOF howdah._private_jobs",
      "worker_deregister(worker_id text) void",
      "worker_heartbeat(worker_id text, metadata json DEFAULT NULL::json) void",
    ]);
  });

  it("runs every function but keyed adds, adds of queues with rules, the mark of awaited jobs and the care for the history with the rights of the caller, and never finds names through the caller's search_path", async () => {
    // A stable SQL function becomes part of its callers, which are pinned, and only if it has no settings.
    const loose = await texts(`
      select proname::text from pg_proc join pg_language on pg_language.oid = prolang
      where pronamespace = 'howdah'::regnamespace and (
        prosecdef and proname not in (
          '_howdah_add_keyed_jobs_v1', '_howdah_touch_keyed_job_v1', '_howdah_add_unique_jobs_v1',
          '_howdah_add_queues_v1', '_howdah_tend_history_v1', '_howdah_mark_awaited_v1'
        )
        or prosqlbody is null and not (lanname = 'sql' and provolatile = 's')
          and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)
      )`);
    expect(loose).toEqual([]);
  });

  it("has no overloads, which would make the others' migrations ambiguous", async () => {
    const overloaded = await texts(`
      select proname::text from pg_proc where pronamespace = 'howdah'::regnamespace group by proname having count(*) > 1`);
    expect(overloaded).toEqual([]);
  });
});

describe("times as microseconds", () => {
  it.each([
    ["2026-01-02 03:04:05.678901+00", "1767323045678901"],
    ["1969-12-31 23:59:59.999999+00", "-1"],
    ["infinity", "9223372036854775807"],
    ["-infinity", "-9223372036854775808"],
    ["4713-01-01 00:00:00+00 BC", "-210863520000000000"],
    ["9999-12-31 23:59:59.999999+00", "253402300799999999"],
  ])("writes %s as %s and reads it back exactly", async (time, microseconds) => {
    const [row] = await database.sql(
      `select howdah._howdah_us($1::timestamptz)::text as us, howdah._howdah_at($2::bigint) = $1::timestamptz as same`,
      [time, microseconds],
    );
    expect(row).toEqual({ us: microseconds, same: true });
  });

  it("leaves null alone and does not depend on the session's time zone", async () => {
    const session = await database.connect();
    await session.query("set timezone = 'Europe/Berlin'");
    const { rows } = await session.query(`
      select howdah._howdah_us(null) as us, howdah._howdah_at(null) as at,
        howdah._howdah_at(howdah._howdah_us(time)) = time as same
      from (values ('2026-03-29 01:59:59.999999+01'::timestamptz), ('2026-10-25 02:30:00+01')) as times(time)`);
    expect(rows).toEqual([
      { us: null, at: null, same: true },
      { us: null, at: null, same: true },
    ]);
  });
});
