import { expect, it } from "vitest";
import { createClient } from "../../../src/index.ts";
import { readProjectFile } from "../../docs/project-tree.ts";
import { snippetsOf } from "../../docs/snippets.ts";
import { createDatabase } from "../../harness/database.ts";

/** The statement of the page that moves the jobs of one queue. */
function statement(from: string): string {
  const page = readProjectFile(`docs/guides/from-${from === "pgboss" ? "pg-boss" : "graphile-worker"}.md`);
  const blocks = snippetsOf(page, "sql").map(({ lines }) => lines.join("\n"));
  return blocks.find((block) => block.includes(`delete from ${from}`)) ?? `no statement for ${from}`;
}

const MOVED = `select task_identifier as task, payload::text, queue_name as queue,
  jobs.run_at, jobs.max_attempts, jobs.key, jobs.priority, jobs.flags
  from howdah.jobs join howdah._private_jobs own on own.id = jobs.id order by jobs.id`;

it("moves the waiting jobs of a schema like graphile-worker's, with all they have", async () => {
  await using database = await createDatabase();
  // The tables of both have the same interface.
  const old = await createClient({ connectionString: database.connectionString, schema: "graphile_worker" });
  await old.addJob("plain", { a: 1 });
  await old.addJob("full", [1], {
    queueName: "mail",
    runAt: "2099-01-01T00:00:00Z",
    maxAttempts: 3,
    jobKey: "k",
    priority: -7,
    flags: ["slow"],
  });
  const running = await old.addJob("runs", {});
  await database.sql(
    `update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w' where id = ${running.id}`,
  );
  await old.close();

  await database.sql(statement("graphile_worker"));

  const moved = await database.sql(MOVED);
  expect(moved).toMatchObject([
    { task: "plain", payload: '{"a":1}', queue: null, max_attempts: 25, key: null, priority: 0, flags: null },
    {
      task: "full",
      payload: "[1]",
      queue: "mail",
      max_attempts: 3,
      key: "k",
      priority: -7,
      flags: { slow: true },
      run_at: new Date("2099-01-01"),
    },
  ]);
  expect(await database.sql("select id::text from graphile_worker._private_jobs")).toEqual([{ id: running.id }]);
});

it("moves the waiting jobs of a table like pg-boss's, the urgent ones first", async () => {
  await using database = await createDatabase();
  await database.sql(`
    create schema pgboss;
    create type pgboss.job_state as enum ('created', 'retry', 'active', 'completed', 'cancelled', 'failed');
    create table pgboss.job (name text not null, data jsonb, state pgboss.job_state not null default 'created',
      priority integer not null default 0, start_after timestamptz not null default now(), blocked boolean not null default false);
    insert into pgboss.job (name, data, state, priority, blocked) values
      ('mail', '{"to": "ada"}', 'created', 5, false), ('mail', null, 'retry', 0, false),
      ('mail', '{}', 'active', 0, false), ('mail', '{}', 'completed', 0, false), ('mail', '{}', 'created', 0, true)`);

  await database.sql(statement("pgboss"));

  expect(
    await database.sql("select payload->>'to' as to, priority from howdah._private_jobs order by priority"),
  ).toEqual([
    { to: "ada", priority: -5 },
    { to: null, priority: 0 },
  ]);
  expect(await database.sql("select state::text, blocked from pgboss.job order by job.state, blocked")).toEqual([
    { state: "created", blocked: true },
    { state: "active", blocked: false },
    { state: "completed", blocked: false },
  ]);
});
