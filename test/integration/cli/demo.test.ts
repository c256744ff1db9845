import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { findSystemUser } from "../../../src/embedded/system-user.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode, type ProcessOptions, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const run = promisify(execFile);

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** A folder for one test that others may enter, because PostgreSQL does not run as root. */
async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "howdah-demo-test-")));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  return folder;
}

async function fill(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

function manyFiles(count: number, queues = 7): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`pkg${n % queues}/lib/${n}.js`, `file ${n}`]));
}

async function demo(database: TestDatabase, args: readonly string[], options: ProcessOptions = {}) {
  const env = { DATABASE_URL: database.connectionString, HOWDAH_SCHEMA: undefined, ...options.env };
  return startNode(MAIN, { ...options, args: ["demo", ...args], env });
}

interface Summary {
  readonly manifest: string;
  readonly [key: string]: unknown;
}

async function summaryOf(started: TestProcess, code = 0): Promise<Summary> {
  const end = await started.ended;
  // What it said shows in the difference, too.
  expect({ code: end.code, errors: end.code === code ? [] : started.errorLines }).toEqual({ code, errors: [] });
  return JSON.parse(started.lines.join("\n")) as Summary;
}

/** Has the real program check a manifest, and returns how many files it names. */
async function checkManifest(directory: string, manifest: string): Promise<number> {
  await run("sha256sum", ["--check", "--strict", "--quiet", manifest], { cwd: directory });
  return (await readFile(manifest, "utf8")).trimEnd().split("\n").length;
}

const NONE_LEFT_OUT = { git: 0, symbolicLinks: 0, specialFiles: 0, unreadable: 0, namesNotUtf8: 0, own: 0 };

describe("howdah demo", () => {
  it("writes a manifest that sha256sum accepts, whatever the files are called", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    const nasty = [
      "new\nline",
      "back\\slash",
      "-rf",
      " spaces ",
      "ünï – 漢字 😀",
      "quote'\"$(x)",
      "tab\there",
      "cr\r",
      "*",
    ];
    await fill(folder, {
      ...Object.fromEntries(nasty.map((name) => [name, name])),
      ...Object.fromEntries(nasty.map((name) => [`node_modules/@scope/${name}/${name}`, name])),
      empty: "",
      large: Buffer.alloc(5 * 1024 * 1024, "howdah"),
      [`${"deep/".repeat(60)}file`]: "deep",
      ".git/HEAD": "left out",
    });
    await symlink("large", join(folder, "link"));
    await symlink("..", join(folder, "loop"));
    await writeFile(Buffer.from(`${folder}/not-utf8-\xff`, "latin1"), "left out");
    const socket = createServer().listen(join(folder, "socket"));
    await once(socket, "listening");
    cleanUps.push(async () => socket.close());

    const manifest = join(folder, "SHA256SUMS");
    await writeFile(manifest, "of an earlier run");
    const summary = await summaryOf(await demo(database, [folder, "--json", "--manifest", manifest]));

    const count = 2 * nasty.length + 3;
    expect(summary).toMatchObject({
      directory: folder,
      manifest,
      interrupted: false,
      files: count,
      found: count,
      completed: count,
      added: count,
      problems: [],
      remaining: 0,
      vanished: 0,
      highestQueueConcurrency: 1,
      leftOut: {
        ...NONE_LEFT_OUT,
        git: 1,
        symbolicLinks: 2,
        specialFiles: 1,
        namesNotUtf8: 1,
        own: 1,
      },
    });
    expect(await checkManifest(folder, manifest)).toBe(count);
    expect((await readdir(folder)).filter((name) => name.startsWith("SHA256SUMS"))).toEqual(["SHA256SUMS"]);
  });

  it("runs the jobs of a queue one after another, and those of different queues at once", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, manyFiles(300));
    const manifest = join(folder, "sums");
    const options = ["--json", "--manifest", manifest, "--concurrency", "16"];
    const summary = await summaryOf(await demo(database, [folder, ...options]));
    expect(summary).toMatchObject({ files: 300, queues: 7, highestQueueConcurrency: 1 });
    expect(summary["highestConcurrency"]).toBeGreaterThan(1);
    // Looked at from outside: no two recorded times of one queue overlap.
    const overlaps = await database.sql(
      `select count(*)::integer as n from howdah_demo.demo_files a join howdah_demo.demo_files b
       on a.queue = b.queue and a.id < b.id and a.started_at < b.ended_at and b.started_at < a.ended_at`,
    );
    expect(overlaps).toEqual([{ n: 0 }]);
  });

  it("hashes again only what is new or has changed", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, manyFiles(20));
    const args = [folder, "--json", "--manifest", join(folder, "sums")];
    await summaryOf(await demo(database, args));
    await fill(folder, { "pkg0/lib/0.js": "changed", "new.js": "new" });
    await unlink(join(folder, "pkg1/lib/1.js"));
    expect(await summaryOf(await demo(database, args))).toMatchObject({
      added: 2,
      completed: 2,
      files: 20,
      vanished: 1,
    });
    expect(await checkManifest(folder, join(folder, "sums"))).toBe(20);
    expect(await summaryOf(await demo(database, [...args, "--fresh"]))).toMatchObject({ added: 20, completed: 20 });
  });

  it("leaves out what it may not read", async ({ skip }) => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, { "open.js": "1", "closed.js": "2", "closed/file.js": "3" });
    await chmod(join(folder, "closed.js"), 0o000);
    await chmod(join(folder, "closed"), 0o000);
    // Root may read everything, so it asks another user, who may not be able to read this project.
    const user = await findSystemUser();
    const isUsable = await run(process.execPath, [MAIN, "--version"], { ...user }).then(
      () => true,
      () => false,
    );
    if (!isUsable) skip("the unprivileged user cannot run the command line of this project");
    const elsewhere = await temporaryFolder();
    await chmod(elsewhere, 0o777);
    const args = [folder, "--json", "--manifest", join(elsewhere, "sums")];
    const summary = await summaryOf(await demo(database, args, user ? { user } : {}));
    expect(summary).toMatchObject({ files: 1, leftOut: { ...NONE_LEFT_OUT, unreadable: 2 }, problems: [] });
    await chmod(join(folder, "closed"), 0o700);
  });

  it("never lists a file that changed or vanished after it was found", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, { ...manyFiles(10), "changes.js": "before", "vanishes.js": "1" });
    const manifest = join(folder, "sums");
    await summaryOf(await demo(database, [folder, "--json", "--manifest", manifest]));
    // Holds the next run up between the walk and the jobs: what it found cannot be written down.
    await fill(folder, { "new.js": "new", "vanishes-unread.js": "2" });
    const blocker = await database.connect();
    await blocker.query("begin");
    await blocker.query("lock table howdah_demo.demo_files in share row exclusive mode");
    const started = await demo(database, [folder, "--json", "--manifest", manifest]);
    const blocked = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    await until(async () => (await database.sql(blocked)).length > 0, { message: "the demo to wait for its table" });
    await fill(folder, { "changes.js": "after it was found" });
    await unlink(join(folder, "vanishes.js"));
    await unlink(join(folder, "vanishes-unread.js"));
    await blocker.query("commit");
    const summary = await summaryOf(started, 1);
    expect(summary).toMatchObject({
      vanished: 2,
      problems: [{ path: "changes.js", problem: expect.stringContaining("changed") }],
    });
    expect(await checkManifest(folder, manifest)).toBe(11);
  });

  it("stops in good order at Ctrl-C, says what is left, and finishes the rest the next time", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, manyFiles(3_000));
    const manifest = join(await temporaryFolder(), "sums");
    const args = [folder, "--concurrency", "2", "--manifest", manifest];
    const first = await demo(database, args, { ownGroup: true });
    const hashed = async (): Promise<number> => {
      const [row] = await database.sql("select count(sha256)::integer as n from howdah_demo.demo_files");
      return row?.["n"] as number;
    };
    await until(async () => (await hashed()) > 50, { message: "some files to be hashed", deadlineMs: 25_000 });
    process.kill(-first.pid, "SIGINT");
    expect(await first.ended).toEqual({ code: 130, signal: null });
    const done = await hashed();
    expect(done).toBeLessThan(3_000);
    const left = 3_000 - done;
    expect(first.lines.at(-1)).toContain(`${left.toLocaleString("en")} left. Run it again`);
    expect(await database.sql("select from howdah_demo._private_jobs where locked_at is not null")).toEqual([]);

    const second = await summaryOf(await demo(database, [...args, "--json"]));
    expect(second).toMatchObject({ files: 3_000, added: 0, completed: left, remaining: 0, highestQueueConcurrency: 1 });
    expect(await checkManifest(folder, manifest)).toBe(3_000);
  });

  it("ends with the same manifest when its workers are killed and its PostgreSQL crashes meanwhile", async () => {
    const folder = await temporaryFolder();
    const place = await temporaryFolder();
    // More than three workers can begin before one of them is killed.
    await fill(folder, manyFiles(240, 80));
    const env = { DATABASE_URL: undefined, HOWDAH_SCHEMA: undefined, TMPDIR: place };
    const started = await startNode(MAIN, { args: ["demo", folder, "--crash", "--json"], env, ownGroup: true });
    const summary = await summaryOf(started);
    expect(summary).toMatchObject({
      files: 240,
      completed: 240,
      remaining: 0,
      problems: [],
      highestQueueConcurrency: 1,
      crashes: { restarts: 1 },
    });
    expect((summary["crashes"] as { kills: number }).kills).toBeGreaterThan(0);
    expect(await checkManifest(folder, summary.manifest)).toBe(240);
  }, 120_000);

  it("serves the page with --page, and goes on doing so until Ctrl-C when all files are hashed", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, manyFiles(10));
    const started = await demo(database, ["--page", folder]);
    const [, url = ""] = /^Page +(http:\/\/127\.0\.0\.1:\d+\/)$/.exec(await started.line(/^Page/)) ?? [];
    await started.line("Check it", 60_000);
    const session = await fetch(`${url}api/v1/session`);
    expect(await session.json()).toMatchObject({ environment: { name: "demo" }, schema: "howdah_demo" });
    expect((await fetch(url)).status).toBe(200);
    started.kill("SIGINT");
    expect(await started.ended).toEqual({ code: 0, signal: null });
  });

  it("kills workers only when the database is the user's", async () => {
    await using database = await createDatabase({ migrate: false });
    const folder = await temporaryFolder();
    await fill(folder, manyFiles(30, 30));
    const args = [folder, "--crash", "--json", "--manifest", join(folder, "sums")];
    const summary = await summaryOf(await demo(database, args));
    expect(summary).toMatchObject({ files: 30, completed: 30, problems: [], crashes: { restarts: 0 } });
    expect(await checkManifest(folder, join(folder, "sums"))).toBe(30);
  }, 120_000);

  it("brings its own PostgreSQL, keeps its data, and goes on after kill -9", async () => {
    const folder = await temporaryFolder();
    const place = await temporaryFolder();
    await fill(folder, manyFiles(1_500));
    const start = (...args: string[]): Promise<TestProcess> => {
      const env = { DATABASE_URL: undefined, HOWDAH_SCHEMA: undefined, TMPDIR: place };
      return startNode(MAIN, { args: ["demo", folder, "--concurrency", "2", ...args], env, ownGroup: true });
    };
    const killed = await start();
    await killed.line("Jobs ");
    process.kill(-killed.pid, "SIGKILL");
    await killed.ended;
    const finished = await start();
    expect(await finished.ended).toEqual({ code: 0, signal: null });
    expect(finished.lines.join("\n")).toMatch(/Jobs +0 added/);
    const manifest = (await readdir(place)).find((name) => name.endsWith(".sha256")) ?? "";
    expect(await checkManifest(folder, join(place, manifest))).toBe(1_500);
    expect(await summaryOf(await start("--fresh", "--json"))).toMatchObject({ added: 1_500, completed: 1_500 });
  }, 60_000);
});
