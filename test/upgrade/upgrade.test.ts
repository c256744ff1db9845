import { beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../src/index.ts";
import { applyMigrations } from "../../src/postgres/apply-migrations.ts";
import { migrations } from "../../src/postgres/migrations.generated.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import type { TestProcess } from "../harness/process.ts";
import { until } from "../harness/until.ts";
import {
  type Command,
  eventsOf,
  type Fault,
  keepRunningCommands,
  type Run,
  runCommand,
  runOn,
  startProducer,
  startWorker,
  stopProducer,
} from "./fleet.ts";
import { laterMigrations } from "./later-migrations.ts";
import { type Release, releaseNames, THIS_TREE, unpackRelease } from "./releases.ts";

/** What was seen of a release while its schema was migrated. */
interface Story {
  readonly workers: readonly TestProcess[];
  /** The jobs whose adds resolved. */
  readonly added: readonly string[];
  /** The commands of the release that ran meanwhile. */
  readonly commands: readonly Command[];
  /** Those that started after the last migration. */
  readonly lateCommands: readonly Command[];
  /** What adds rejected with. */
  readonly rejections: readonly Fault[];
  /** What workers reported. */
  readonly reported: readonly Fault[];
  /** What the release's worker, client and command line are refused with once a migration has broken the release. */
  readonly refusals: readonly string[];
}

const LOCK_NOT_AVAILABLE = "55P03";

const WAITING = `
select from pg_locks join pg_database on pg_database.oid = pg_locks.database
where datname = current_database() and mode = 'AccessExclusiveLock' and not granted`;

const LATER = [...migrations, ...laterMigrations()];
const REVISION = LATER.length;

/** A migration that no release before it can live with. */
const BREAKING = { id: REVISION + 1, name: "breaking", sql: "select 1", breaksBefore: REVISION + 1 };

describe.each(releaseNames())("%s, while its schema is migrated under load", (name) => {
  let story: Story;
  beforeAll(async () => {
    story = await upgrade(name);
  }, 180_000);

  it("runs each job that was added exactly once", () => {
    const completed = story.workers.flatMap((worker) => eventsOf(worker, "completed").map((event) => event.name));
    const runs = runsOf(story).filter(({ failed }) => !failed);
    expect(completed.toSorted()).toEqual([...new Set(completed)].toSorted());
    expect(runs.map((run) => run.name).toSorted()).toEqual(completed.toSorted());
    expect(completed.toSorted()).toEqual(story.added.toSorted());
  });

  it("runs the jobs of a queue in their order, one at a time", () => {
    const queues = new Set(runsOf(story).flatMap(({ queue }) => queue ?? []));
    expect(queues.size).toBe(12);
    for (const queue of queues) {
      const runs = runsOf(story).filter((run) => run.queue === queue);
      const inOrder = runs.toSorted((a, b) => a.start - b.start);
      expect(inOrder.map(numberOf)).toEqual(runs.map(numberOf).toSorted((a, b) => a - b));
      const overlaps = inOrder.filter((run, index) => run.start < (inOrder[index - 1]?.end ?? 0));
      expect(overlaps).toEqual([]);
    }
  });

  it("lets adds wait until the migration is done, and rejects none", () => {
    expect(story.rejections).toEqual([]);
  });

  it("meets no error but locks that it could not get and tries again", () => {
    expect(story.reported.filter(({ code }) => code !== LOCK_NOT_AVAILABLE)).toEqual([]);
  });

  it("answers each command, or refuses it with a code", () => {
    expect(story.commands.filter(({ code }) => code === 0).length).toBeGreaterThan(0);
    const failures = story.commands.filter(({ code }) => code !== 0);
    expect(failures.filter(({ error }) => !/^howdah: HOWDAH_\w+: /m.test(error))).toEqual([]);
  });

  it("starts on the schema of a later release, and runs jobs there", () => {
    const [late] = story.workers.slice(-1);
    expect(late && eventsOf(late, "refused")).toEqual([]);
    expect(late && eventsOf(late, "completed").length).toBeGreaterThan(20);
    expect(story.added.some((name) => name.startsWith("late"))).toBe(true);
    expect(story.lateCommands).toEqual(
      LATE_COMMANDS.map((command) => ({ command, code: 0, error: expect.not.stringContaining("HOWDAH_") as string })),
    );
  });

  it("refuses to start on the schema of a later release that breaks it, with a code", () => {
    expect(story.refusals).toHaveLength(3);
    for (const refusal of story.refusals) {
      expect(refusal).toMatch(
        /HOWDAH_SCHEMA_TOO_NEW.*at revision \d+, this release knows revisions up to \d+.*upgrade this one/s,
      );
    }
  });
});

describe("a client and a worker that may not migrate", () => {
  it("are refused by the schema of the release before, with what to do", async () => {
    await using database = await createDatabase({ migrate: false });
    const { connectionString, driver, schema } = database;
    await applyMigrations({ driver, schema, migrations: migrations.slice(0, -1) });
    const latest = migrations.length;
    const refusal = {
      code: "HOWDAH_SCHEMA_MISSING",
      message: expect.stringMatching(
        new RegExp(`Schema "howdah" is at revision ${latest - 1} of ${latest}, .* Run \`howdah migrate\``),
      ),
    };
    await expect(createClient({ connectionString, migrate: false, logger: silentLogger })).rejects.toMatchObject(
      refusal,
    );
    const worker = await startWorker(THIS_TREE, { connectionString, migrate: false });
    expect(eventsOf(worker, "refused")).toMatchObject([refusal]);
  });
});

/** What the release's command line is asked on the schema of a later one. */
const LATE_COMMANDS = ["migrate", "stats", "list --limit 5", "workers"];

/**
 * Lets workers and producers of a release, and then of this tree beside them,
 * go on while the schema is migrated:
 * first as far as this tree does, then further, behind a transaction of the application that is in the way.
 * Then more of the release start on the schema that is newer than they know.
 */
async function upgrade(name: string): Promise<Story> {
  await using release = await unpackRelease(name);
  await using database = await createDatabase({ migrate: false });
  const { connectionString, driver, schema } = database;
  expect(await runCommand(release, "migrate", connectionString)).toMatchObject({ code: 0 });
  const options = { connectionString, migrate: false };
  const workers = await Promise.all([
    startWorker(release, { ...options, concurrency: 4 }),
    startWorker(release, { ...options, concurrency: 4, localQueue: { size: 20 } }),
  ]);
  const producers = [await startProducer(release, { ...options, place: "old" })];
  const commands = keepRunningCommands(release, connectionString);
  await runOn(workers);
  await applyMigrations({ driver, schema });
  workers.push(await startWorker(THIS_TREE, { ...options, concurrency: 4 }));
  producers.push(await startProducer(THIS_TREE, { ...options, place: "new" }));
  await runOn(workers);
  await migrateBehindTransaction(database);
  await runOn(workers);
  workers.push(await startWorker(release, { ...options, concurrency: 4 }));
  producers.push(await startProducer(release, { ...options, place: "late" }));
  const lateCommands: Command[] = [];
  for (const command of LATE_COMMANDS) lateCommands.push(await runCommand(release, command, connectionString));
  await runOn(workers);
  const answers = await Promise.all(producers.map(stopProducer));
  await until(async () => (await database.sql("select from howdah.jobs limit 1")).length === 0, {
    message: "all jobs to end",
    deadlineMs: 30_000,
  });
  for (const worker of workers) worker.kill("SIGTERM");
  await Promise.all(workers.map(({ ended }) => ended));
  await applyMigrations({ driver, schema, migrations: [...LATER, BREAKING] });
  return {
    workers,
    added: answers.flatMap(({ added }) => added),
    commands: await commands.stop(),
    lateCommands,
    rejections: answers.flatMap(({ errors }) => errors),
    reported: workers.flatMap((worker) => eventsOf(worker, "error")),
    refusals: await refusalsOf(release, connectionString),
  };
}

/** Migrates further than this tree does. The first tries wait for a table that a transaction uses, and give up. */
async function migrateBehindTransaction({ driver, schema, sql, connect }: TestDatabase): Promise<void> {
  const waiting = async (): Promise<boolean> => (await sql(WAITING)).length > 0;
  const session = await connect();
  await session.query("begin; lock table howdah._private_jobs in row exclusive mode");
  const letPass = async (): Promise<void> => {
    await until(waiting, { message: "the migration to wait", deadlineMs: 30_000 });
    await until(async () => !(await waiting()), { message: "the migration to let others pass" });
    await session.query("rollback");
  };
  await Promise.all([applyMigrations({ driver, schema, migrations: LATER, lockTimeoutMs: 300 }), letPass()]);
}

async function refusalsOf(release: Release, connectionString: string): Promise<string[]> {
  const options = { connectionString, migrate: false };
  const processes = [await startWorker(release, options), await startProducer(release, { ...options, place: "last" })];
  const refused = processes.flatMap((process) => eventsOf(process, "refused"));
  const { error } = await runCommand(release, "stats", connectionString);
  return [...refused.map(({ code, message }) => `${code}: ${message}`), error];
}

function runsOf({ workers }: Story): Run[] {
  return workers.flatMap((worker) => eventsOf(worker, "run"));
}

/** The number at the end of a job's name, which grows with each add of its producer. */
function numberOf({ name }: Run): number {
  return Number(name.split("-").at(-1));
}
