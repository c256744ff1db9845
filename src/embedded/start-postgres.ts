import { HowdahError } from "../errors.ts";
import { systemClock, type Clock } from "../runtime/clock.ts";
import { findBinaries } from "./binaries.ts";
import { openClusterFolder } from "./cluster.ts";
import { readStartOptions, type StartPostgresOptions } from "./options.ts";
import { runnableBinaries } from "./runnable-binaries.ts";
import { startServer, type Server } from "./server.ts";
import { findSystemUser } from "./system-user.ts";
import { outliveReader } from "../runtime/outlive-reader.ts";

/**
 * Starts a PostgreSQL server from the binaries of an optional package,
 * reachable on 127.0.0.1 with a random password. Its text is UTF-8 with the
 * locale C, its time zone UTC, whatever the environment says.
 *
 * The server ends with this process, even when that is killed, and keeps
 * neither it alive nor its exit code from it; a temporary folder is removed
 * with it. Ctrl-C only reaches this process, so it can finish its work and then
 * call `stop`. PostgreSQL refuses to run as root, so root starts it as an
 * unprivileged user, with one line on stderr that says so.
 *
 * Rejects with `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID` for the
 * options, `HOWDAH_EMBEDDED_MISSING` when the package is not installed, and
 * `HOWDAH_EMBEDDED_FAILED`, with the last lines of the log, when the server
 * does not start.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const clock = systemClock;
  const read = readStartOptions(options);
  refuseWindows();
  const found = findBinaries(read.version);
  const user = await findSystemUser(read.dataDir);
  if (user)
    outliveReader(process.stderr).write(`howdah: PostgreSQL refuses to run as root, so it runs as user ${user.name}\n`);
  const native = await runnableBinaries(found, user);
  const folder = await openClusterFolder(read.dataDir, user);
  const server = await startServer({ native, folder, options: read, clock });
  server.guard.unref();
  return stoppable(server, clock);
}

/** A running PostgreSQL server. With `await using` it is stopped at the end of the block. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** The superuser `postgres` in the database `postgres`, with its password. */
  readonly connectionString: string;
  /**
   * Ends the server and resolves when it has ended and its temporary folder is
   * removed. `"fast"`, the default, cuts connections off and writes everything
   * to disk first; `"immediate"` leaves that to the next start. Every further
   * call waits for the first.
   */
  stop(mode?: "fast" | "immediate"): Promise<void>;
}

/** How long a fast stop may take before it becomes an immediate one. */
const FAST_STOP_MS = 30_000;

/**
 * The server of `DATABASE_URL`, when that is set, and otherwise one that {@link
 * startPostgres} starts. `stop` does not stop a server of `DATABASE_URL`.
 */
export async function startPostgresUnlessGiven(options: StartPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const given = process.env["DATABASE_URL"]?.trim();
  if (!given) return startPostgres(options);
  readStartOptions(options);
  const stop = (): Promise<void> => Promise.resolve();
  return { connectionString: given, stop, [Symbol.asyncDispose]: stop };
}

function stoppable({ guard, port, password }: Server, clock: Clock): EmbeddedPostgres {
  async function end(mode: "fast" | "immediate"): Promise<void> {
    guard.ref();
    guard.signal(mode === "fast" ? "INT" : "QUIT");
    const impatience = clock.setTimer(FAST_STOP_MS, () => guard.signal("QUIT"), true);
    await guard.release();
    impatience.cancel();
  }
  let stopped: Promise<void> | undefined;
  function stop(mode: "fast" | "immediate" = "fast"): Promise<void> {
    return (stopped ??= end(mode));
  }
  return {
    connectionString: `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

function refuseWindows(): void {
  if (process.platform !== "win32") return;
  throw new HowdahError(
    "HOWDAH_EMBEDDED_FAILED",
    "The embedded PostgreSQL runs on Linux and macOS. On Windows, install PostgreSQL and set DATABASE_URL.",
  );
}
