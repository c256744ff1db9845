import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type EmbeddedPostgres, startPostgres } from "../../src/embedded/index.ts";
import type { PostgresVersion } from "../../src/embedded/binaries.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { until } from "../harness/until.ts";
import type { RestartMode } from "./plan.ts";

/** A PostgreSQL server that goes down and comes up again, with the same data at the same address. */
export interface ChaosServer extends AsyncDisposable {
  readonly connectionString: string;
  /** Takes it down, leaves it down for a while, and resolves when it takes connections again. One at a time. */
  restart(mode: RestartMode, downMs: number): Promise<void>;
  /** One statement in a session of its own. */
  ask(text: string, values?: unknown[]): Promise<pg.QueryResultRow[]>;
}

const SETTINGS = {
  // The machine does not crash here, only the server, and what it has written stays written.
  fsync: false,
  shared_buffers: "128MB",
  max_connections: 200,
  // A server that was killed looks at everything since the last checkpoint.
  checkpoint_timeout: "30s",
};

/** Starts a server of its own, whatever DATABASE_URL says: no other server may be taken down. */
export async function startChaosServer(): Promise<ChaosServer> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-chaos-"));
  const version = (process.env["HOWDAH_TEST_POSTGRES"] || "18") as PostgresVersion;
  let server = await startPostgres({ dataDir: folder, version, settings: SETTINGS });
  const { connectionString } = server;
  const port = Number(new URL(connectionString).port);
  let restarting: Promise<void> = Promise.resolve();

  async function restart(mode: RestartMode, downMs: number): Promise<void> {
    if (mode === "crash") return crash(folder, connectionString);
    await server.stop(mode);
    await systemClock.sleep(downMs);
    server = await startAgain(folder, { port, version });
  }
  return {
    connectionString,
    restart(mode, downMs) {
      restarting = restarting.then(() => restart(mode, downMs));
      return restarting;
    },
    ask: (text, values) => ask(connectionString, text, values),
    async [Symbol.asyncDispose]() {
      await restarting.catch(() => {});
      await server.stop("immediate");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A failed connection may hold the port for a moment. */
function startAgain(
  dataDir: string,
  { port, version }: { readonly port: number; readonly version: PostgresVersion },
): Promise<EmbeddedPostgres> {
  return until(() => startPostgres({ dataDir, port, version, settings: SETTINGS }), {
    deadlineMs: 60_000,
    message: "the server to start again",
  });
}

/** Kills one of the server's processes, which makes it end all sessions and recover from its log. */
async function crash(folder: string, connectionString: string): Promise<void> {
  const [row] = await ask(connectionString, "select pid from pg_stat_activity where backend_type = 'checkpointer'");
  const before = await startTime(connectionString);
  process.kill(Number(row?.["pid"]), "SIGKILL");
  await until(
    async () => {
      const log = await readFile(join(folder, "server.log"), "utf8");
      return log.includes("all server processes terminated") && (await startTime(connectionString)) !== before;
    },
    { deadlineMs: 60_000, message: "the server to recover from its crash" },
  );
}

/** When the processes of the server were last started: a crash leaves the main process and its own time alone. */
async function startTime(connectionString: string): Promise<string> {
  const [row] = await ask(
    connectionString,
    "select pid::text from pg_stat_activity where backend_type = 'checkpointer'",
  );
  return String(row?.["pid"]);
}

async function ask(connectionString: string, text: string, values?: unknown[]): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({
    connectionString,
    application_name: "chaos-observer",
    connectionTimeoutMillis: 5_000,
  });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}
