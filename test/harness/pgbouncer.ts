import { execFileSync } from "node:child_process";
import { chownSync, chmodSync, cpSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../src/embedded/free-port.ts";
import { findSystemUser } from "../../src/embedded/system-user.ts";
import { type Guard, startGuarded } from "../../src/embedded/watchdog.ts";
import { until } from "./until.ts";

/** A PgBouncer in front of a server. */
export interface PgBouncer extends AsyncDisposable {
  /** Leads through it to the database of the connection string that it was started with. */
  readonly connectionString: string;
  /** Ends it, as a restart of the pooler would, and every connection with it. */
  stop(): Promise<void>;
}

/** How to start one. */
export interface PgBouncerOptions {
  /** Whether a client keeps its connection for a session or for a transaction. */
  readonly poolMode: "session" | "transaction";
  /** How many connections to the server. Default 20. */
  readonly poolSize?: number;
  /** Default: a free one. */
  readonly port?: number;
}

/** A PgBouncer that can be run. */
export interface PgBouncerProgram {
  readonly path: string;
  /** What `scripts/install-pgbouncer.mjs` has unpacked, and the program runs from a copy of it. */
  readonly unpacked: string | undefined;
}

const UNPACKED = fileURLToPath(new URL("../../node_modules/.cache/pgbouncer", import.meta.url));

/**
 * The program that `HOWDAH_PGBOUNCER` names, that of this machine, or the one that
 * `npm run pgbouncer` has unpacked; `undefined`, and a line on stderr, when there is none.
 */
export function findPgBouncer(): PgBouncerProgram | undefined {
  const given = process.env["HOWDAH_PGBOUNCER"];
  if (given) return { path: given, unpacked: undefined };
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const path = folders.map((folder) => join(folder, "pgbouncer")).find((file) => existsSync(file));
  if (path !== undefined) return { path, unpacked: undefined };
  if (existsSync(join(UNPACKED, "usr/sbin/pgbouncer"))) return { path: "usr/sbin/pgbouncer", unpacked: UNPACKED };
  process.stderr.write(
    "PgBouncer is not tested: it is not installed. `npm run pgbouncer` unpacks Debian's, HOWDAH_PGBOUNCER names another.\n",
  );
  return undefined;
}

/** Starts PgBouncer on 127.0.0.1. It ends with this process at the latest, and its folder with it. */
export async function startPgBouncer(
  program: PgBouncerProgram,
  connectionString: string,
  options: PgBouncerOptions,
): Promise<PgBouncer> {
  // Root is refused, as by PostgreSQL.
  const user = await findSystemUser();
  const folder = await mkdtemp(join(tmpdir(), "howdah-pgbouncer-"));
  chmodSync(folder, 0o700);
  const { command, version } = prepareProgram(program, folder);
  const { port = await freePort() } = options;
  const settingsFile = join(folder, "pgbouncer.ini");
  const logFile = join(folder, "pgbouncer.log");
  writeFileSync(settingsFile, settingsOf({ ...options, server: new URL(connectionString), port, version }));
  writeFileSync(logFile, "");
  if (user) for (const file of [folder, settingsFile, logFile]) chownSync(file, user.uid, user.gid);
  const guard = await startGuarded({
    command: "env",
    args: [...command, settingsFile],
    lastSignal: "TERM",
    folder,
    logFile,
    user,
  });
  guard.unref();
  await until(async () => guard.hasEnded() || (await answers(port)), { message: "PgBouncer to listen" });
  if (guard.hasEnded()) {
    const log = await readFile(logFile, "utf8");
    await guard.release();
    throw new Error(`PgBouncer did not start:\n${log}`);
  }
  const url = new URL(connectionString);
  url.host = `127.0.0.1:${port}`;
  const stop = stopOf(guard);
  return { connectionString: url.href, stop, [Symbol.asyncDispose]: stop };
}

function stopOf(guard: Guard): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  async function end(): Promise<void> {
    guard.ref();
    guard.signal("TERM");
    await guard.release();
  }
  return () => (stopped ??= end());
}

/** The words that run it, and its version. The user that it runs as may not be able to look into the project. */
function prepareProgram({ path, unpacked }: PgBouncerProgram, folder: string) {
  const command = unpacked === undefined ? [path] : copied(unpacked, path, folder);
  const [, version = "1.18"] =
    /PgBouncer (\d+\.\d+)/.exec(execFileSync("env", [...command, "--version"], { encoding: "utf8" })) ?? [];
  return { command, version: Number(version.split(".")[1]) };
}

function copied(unpacked: string, path: string, folder: string): string[] {
  const copy = join(folder, "program");
  cpSync(unpacked, copy, { recursive: true });
  // One folder, of this machine's architecture.
  const libraries = join(copy, "usr/lib");
  const found = existsSync(libraries) ? readdirSync(libraries).filter((name) => name.endsWith("-linux-gnu")) : [];
  return [`LD_LIBRARY_PATH=${found.map((name) => join(libraries, name)).join(delimiter)}`, join(copy, path)];
}

function settingsOf(
  given: PgBouncerOptions & { readonly server: URL; readonly port: number; readonly version: number },
): string {
  const { server, port, version, poolMode, poolSize = 20 } = given;
  const target = {
    host: server.hostname,
    port: server.port || "5432",
    user: decodeURIComponent(server.username),
    password: decodeURIComponent(server.password),
  };
  const words = Object.entries(target)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}='${value.replaceAll("'", "''")}'`);
  return `
[databases]
* = ${words.join(" ")}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
max_client_conn = 200
${version >= 21 ? "max_prepared_statements = 0" : ""}
`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
