import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());

const victim = await database.connect();

/** Functions and operators that ours use, with the types they use them on; each of these says it was called. */
const FUNCTIONS = [
  ["now()", "timestamptz"],
  ["clock_timestamp()", "timestamptz"],
  ["random()", "float8"],
  ["format(text, variadic text[])", "text"],
  ["pg_notify(text, text)", "void"],
  ["pg_advisory_xact_lock(bigint)", "void"],
  ["pg_advisory_xact_lock_shared(bigint)", "void"],
  ["hashtextextended(text, bigint)", "bigint"],
  ["to_json(text)", "json"],
  ["array_to_json(integer[])", "json"],
  ["json_typeof(json)", "text"],
  ["array_remove(integer[], integer)", "integer[]"],
  ["cardinality(bigint[])", "integer"],
  ["cardinality(text[])", "integer"],
  ["current_setting(text)", "text"],
  ["unnest(text[])", "setof text"],
  ["isfinite(timestamptz)", "boolean"],
  ["abs(integer)", "integer"],
  ["length(text)", "integer"],
];
const OPERATORS = [
  ["=", "text", "text"],
  ["=", "bigint", "bigint"],
  ["=", "integer", "integer"],
  ["<>", "text", "text"],
  [">", "integer", "integer"],
  ["<", "timestamptz", "timestamptz"],
  [">=", "smallint", "smallint"],
  ["<=", "timestamptz", "timestamptz"],
];

beforeAll(async () => {
  await database.sql("create schema hostile");
  await database.sql("create type hostile.json as enum ('trap')");
  await database.sql(`
    create function hostile.spring() returns void language plpgsql as $$
    begin raise exception 'the trap was sprung'; end $$`);
  for (const [signature, result] of FUNCTIONS) {
    await database.sql(`
      create function hostile.${signature} returns ${result} language plpgsql as $$
      begin perform hostile.spring(); end $$`);
  }
  for (const [index, [name, left, right]] of OPERATORS.entries()) {
    const trap = `hostile.trap_${index}`;
    await database.sql(`
      create function ${trap}(${left}, ${right}) returns boolean language plpgsql as $$
      begin perform hostile.spring(); return true; end $$`);
    await database.sql(`create operator hostile.${name} (leftarg = ${left}, rightarg = ${right}, function = ${trap})`);
  }
  for (const table of ["_private_jobs", "_private_tasks", "_private_job_queues", "_private_workers"]) {
    await database.sql(`create table hostile.${table} (like howdah.${table})`);
  }
  await victim.query("create temporary table _private_jobs ()");
  await victim.query("create temporary table pg_class ()");
  await victim.query("set search_path = hostile, pg_temp, pg_catalog");
});

describe("a hostile search_path", () => {
  it("is really hostile", async () => {
    await expect(victim.query("select now()")).rejects.toThrow("the trap was sprung");
    await expect(victim.query("select 'a'::text = 'b'::text")).rejects.toThrow("the trap was sprung");
  });

  it("would reach into a function that is not pinned", async () => {
    await database.sql("alter function howdah.worker_heartbeat reset search_path");
    await expect(victim.query("select howdah.worker_heartbeat('w')")).rejects.toThrow("the trap was sprung");
    await database.sql("alter function howdah.worker_heartbeat set search_path = pg_catalog, pg_temp");
  });

  it.each([
    ["add_job", `howdah.add_job('t', '{"a":1}', 'q', null, 3, null, 1, '{a}')`],
    ["add_job with a key", `howdah.add_job('t', '[1]', 'q', null, 3, 'k', 1, '{a}')`],
    ["a merge", `howdah.add_job('t', '[2]', 'q', null, 3, 'k', 1, '{a}', 'preserve_run_at')`],
    ["unsafe_dedupe", `howdah.add_job('t', job_key => 'k', job_key_mode => 'unsafe_dedupe')`],
    ["add_jobs", `howdah.add_jobs(array[row('t', '[3]', 'q', null, 3, 'k', 1, '{a}')]::howdah.job_spec[], true)`],
    ["_howdah_add_jobs_v1", "howdah._howdah_add_jobs_v1('{t}', null, '{q}', null, null, null, null, null, null)"],
    [
      "_howdah_add_jobs_without_keys_v1",
      "howdah._howdah_add_jobs_without_keys_v1('{t}', '{1}', '{q}', null, null, null, null, null, true, 100)",
    ],
    [
      "_howdah_add_jobs_without_keys_v2",
      "howdah._howdah_add_jobs_without_keys_v2('{t}', '{1}', '{q}', null, null, null, null, null, true, 100, false)",
    ],
    [
      "_howdah_dropped_places_v1",
      "howdah._howdah_dropped_places_v1('{t}', '{1}', '{q}', null, null, null, null, null)",
    ],
    [
      "_howdah_add_keyed_job_ids_v1",
      "howdah._howdah_add_keyed_job_ids_v1('{t}', '{1}', '{q}', null, null, '{k}', null, null, null, null, true)",
    ],
    ["permanently_fail_jobs", "howdah.permanently_fail_jobs('{1}')"],
    ["reschedule_jobs", "howdah.reschedule_jobs('{1}', attempts => 0)"],
    ["force_unlock_workers", "howdah.force_unlock_workers('{w}')"],
    ["worker_heartbeat", "howdah.worker_heartbeat('w', '{}')"],
    ["list_stale_workers", "howdah.list_stale_workers('0')"],
    ["list_orphan_locked_workers", "howdah.list_orphan_locked_workers('0')"],
    ["recover_dead_worker_jobs", "howdah.recover_dead_worker_jobs('{w}')"],
    ["delete_stale_workers", "howdah.delete_stale_workers('{w}')"],
    ["worker_deregister", "howdah.worker_deregister('w')"],
    ["complete_jobs", "howdah.complete_jobs('{1}')"],
    ["remove_job", "howdah.remove_job('k')"],
    ["_howdah_delete_exhausted_v1", "howdah._howdah_delete_exhausted_v1()"],
    ["_howdah_clean_up_tasks_v1", "howdah._howdah_clean_up_tasks_v1('{a}')"],
    ["_howdah_clean_up_queues_v1", "howdah._howdah_clean_up_queues_v1()"],
    ["_howdah_us", "howdah._howdah_us('2026-01-01')"],
    ["_howdah_at", "howdah._howdah_at(1)"],
  ])("does not reach into %s", async (_, call) => {
    await expect(victim.query(`select ${call}`)).resolves.toBeDefined();
  });
});
