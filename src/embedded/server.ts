import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../runtime/clock.ts";
import { ensureCluster, writeOwnFile, type ClusterDraft, type ClusterFolder } from "./cluster.ts";
import { freePort } from "./free-port.ts";
import type { StartOptions } from "./options.ts";
import { awaitUnusedData, readPostmasterFile } from "./postmaster-file.ts";
import { readLog, startFailure } from "./server-log.ts";
import { settingsFile } from "./settings-file.ts";
import { startGuarded, type Guard } from "./watchdog.ts";

/** A server that takes connections. */
export interface Server {
  readonly guard: Guard;
  readonly port: number;
  readonly password: string;
}

/** Options of {@link startServer}. */
export interface ServerPlan {
  /** The folder that holds `bin`, `lib` and `share`. */
  readonly native: string;
  readonly folder: ClusterFolder;
  readonly options: StartOptions;
  readonly clock: Clock;
}

/**
 * Failures that another attempt may avoid: another process took the free port
 * in between, or the last processes of a killed server have not ended yet.
 */
const PASSING_FAILURES = { port: "could not bind", memory: "pre-existing shared memory block" };

const MAX_ATTEMPTS = 20;

const ATTEMPT_REST_MS = 250;

/** How long to wait between two checks whether the server is ready. */
const READY_REST_MS = 10;

/** Creates the cluster if there is none and runs a server on it. Rejects with `HOWDAH_EMBEDDED_FAILED`. */
export async function startServer(plan: ServerPlan): Promise<Server> {
  const { folder, options, clock } = plan;
  let initdb: Guard | undefined;
  try {
    await ensureCluster(folder, async (draft) => {
      initdb = await runInitdb(plan, draft);
    });
    await awaitUnusedData(folder.data, clock);
    const settings = settingsFile("cluster/data/postgresql.conf", options.settings);
    await writeOwnFile(folder.settingsFile, settings, folder.user);
    const password = (await readFile(folder.passwordFile, "utf8")).trim();
    return { ...(await runUntilReady(plan)), password };
  } finally {
    // Until here it guarded a temporary folder; now the server's watchdog does, or there is no such folder.
    await initdb?.release({ keepFolder: true });
  }
}

/** Fills a draft. The guard stays, so that no folder remains when the owner is killed before the server runs. */
async function runInitdb({ native, folder }: ServerPlan, draft: ClusterDraft): Promise<Guard> {
  await writeOwnFile(folder.logFile, "", folder.user);
  const guard = await startGuarded({
    command: join(native, "bin", "initdb"),
    args: [
      `--pgdata=${draft.data}`,
      "--encoding=UTF8",
      "--locale=C",
      "--username=postgres",
      "--auth=scram-sha-256",
      `--pwfile=${draft.passwordFile}`,
      ...(folder.temporary ? ["--no-sync"] : []),
    ],
    lastSignal: "INT",
    folder: folder.temporary ? folder.path : draft.path,
    logFile: folder.logFile,
    user: folder.user,
  });
  if ((await guard.ended) === 0) return guard;
  const log = await readLog(folder.logFile);
  await guard.release();
  throw startFailure("PostgreSQL could not make its files", log);
}

async function runUntilReady(plan: ServerPlan): Promise<Omit<Server, "password">> {
  const { folder, options, clock } = plan;
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const guard = await runPostgres(plan, port);
    if (await becomesReady(guard, plan)) return { guard, port };
    const log = await readLog(folder.logFile);
    const passing =
      log.includes(PASSING_FAILURES.memory) || (options.port === undefined && log.includes(PASSING_FAILURES.port));
    const again = passing && attempt < MAX_ATTEMPTS;
    await guard.release({ keepFolder: again });
    if (!again) throw startFailure("PostgreSQL did not start", log);
    await clock.sleep(ATTEMPT_REST_MS);
  }
}

async function runPostgres({ native, folder }: ServerPlan, port: number): Promise<Guard> {
  await writeOwnFile(folder.logFile, "", folder.user);
  const settings = [
    `config_file=${folder.settingsFile}`,
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
  ];
  return startGuarded({
    command: join(native, "bin", "postgres"),
    args: ["-D", folder.data, ...settings.flatMap((setting) => ["-c", setting])],
    // Only data that are kept need a checkpoint.
    lastSignal: folder.temporary ? "QUIT" : "INT",
    folder: folder.temporary ? folder.path : undefined,
    logFile: folder.logFile,
    user: folder.user,
  });
}

async function becomesReady(guard: Guard, { folder, clock }: ServerPlan): Promise<boolean> {
  while (!guard.hasEnded()) {
    const file = await readPostmasterFile(folder.data);
    if (file?.ready && file.pid === guard.pid) return true;
    await clock.sleep(READY_REST_MS);
  }
  return false;
}
