import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startNode } from "../harness/process.ts";
import { until } from "../harness/until.ts";
import { cliFile } from "./graphile-worker.ts";
import { createPlace, emptyPlace, LAYOUTS, type Place } from "./layouts.ts";

describe.each(LAYOUTS)("the command line of graphile-worker on a schema: %s", (layout) => {
  let place: Place;
  let folder: string;

  beforeAll(async () => {
    place = await createPlace(layout);
    folder = await mkdtemp(join(tmpdir(), "howdah-compat-"));
    await mkdir(join(folder, "tasks/mail"), { recursive: true });
    await writeFile(
      join(folder, "tasks/mail/send.js"),
      `module.exports = (payload, helpers) => helpers.query("insert into public.sent values ($1)", [payload.to]);\n`,
    );
    await writeFile(join(folder, "crontab"), `* * * * * mail/send ?fill=10m {"to":"cron"}\n`);
    await place.sql("create table public.sent (receiver text)");
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await place[Symbol.asyncDispose]();
  });
  beforeEach(() => emptyPlace(place));

  const cli = (...args: string[]) =>
    startNode(cliFile(), {
      args: ["--connection", place.database.connectionString, "--schema", "howdah", ...args],
      cwd: folder,
      env: { HOWDAH_SCHEMA: undefined },
    });
  const ended = async (...args: string[]) => {
    await using process = await cli(...args);
    const { code } = await process.ended;
    return { code, said: [...process.lines, ...process.errorLines].join("\n") };
  };

  it("--schema-only finds everything in place", async () => {
    const ledger = "select id, breaking from howdah.migrations order by id";
    const before = await place.sql(ledger);
    expect(await ended("--schema-only")).toEqual({ code: 0, said: expect.stringContaining("Schema updated") });
    expect(await place.sql(ledger)).toEqual(before);
  });

  it("--once runs what is due with the tasks of a folder, and ends", async () => {
    await place.sql(
      `select howdah.add_job('mail/send', '{"to": "ada"}'), howdah.add_job('mail/send', '{"to": "bob"}')`,
    );
    expect(await ended("--once", "--jobs", "2", "--no-prepared-statements")).toMatchObject({ code: 0 });
    expect(await place.sql("select receiver from public.sent order by 1")).toEqual([
      { receiver: "ada" },
      { receiver: "bob" },
    ]);
    expect(await place.sql("select from howdah._private_jobs")).toEqual([]);
  });

  it("--cleanup removes what it is told to", async () => {
    await place.sql(`
      select howdah.permanently_fail_jobs(array[(howdah.add_job('gone', queue_name => 'gone')).id]);
      select howdah.add_job('waits', queue_name => 'waits')`);
    const all = "DELETE_PERMAFAILED_JOBS,GC_TASK_IDENTIFIERS,GC_JOB_QUEUES";
    expect(await ended("--cleanup", all)).toMatchObject({ code: 0 });
    expect(await place.sql("select queue_name from howdah._private_job_queues")).toEqual([{ queue_name: "waits" }]);
    const [{ tasks } = { tasks: "" }] = await place.sql(
      "select string_agg(identifier, ' ' order by identifier) as tasks from howdah._private_tasks",
    );
    expect(tasks).toBe("mail/send waits");
  });

  it("--crontab adds what was missed, runs it, and ends with SIGTERM", async () => {
    await place.sql(
      `insert into howdah._private_known_crontabs values ('mail/send', now() - interval '1 day', now() - interval '5 minutes')`,
    );
    await using process = await cli("--crontab", join(folder, "crontab"), "--poll-interval", "200", "--jobs", "3");
    await until(async () => (await place.sql("select from public.sent where receiver = 'cron'")).length >= 3, {
      message: "three missed ticks",
    });
    process.kill("SIGTERM");
    expect(await process.ended).toMatchObject({ signal: "SIGTERM" });
  });
});
