import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { startPostgres, type StartPostgresOptions } from "../../embedded/index.ts";
import { HowdahError } from "../../errors.ts";

/** The folder of a demo: the same each time for one directory, another one for each directory. */
export function demoFolder(directory: string): string {
  const name =
    basename(directory)
      .replaceAll(/[^\w.-]/g, "_")
      .slice(0, 40) || "root";
  const hash = createHash("sha256").update(directory).digest("hex").slice(0, 8);
  return join(tmpdir(), `howdah-demo-${name}-${hash}`);
}

/** The demo's own server. */
export interface DemoServer {
  readonly connectionString: string;
  /** Ends it like a crash, and starts it again at the same address. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** How to start a {@link DemoServer}. */
export interface DemoServerOptions {
  readonly folder: string;
  /** On an empty folder. */
  readonly fresh: boolean;
  /** It will crash, so every commit must be durable. */
  readonly willCrash: boolean;
}

/** Starts PostgreSQL on the demo's folder. Rejects with `HOWDAH_EMBEDDED_FAILED` when another demo runs there. */
export async function startDemoServer({ folder, fresh, willCrash }: DemoServerOptions): Promise<DemoServer> {
  if (fresh) await removeData(folder);
  const options: StartPostgresOptions = {
    dataDir: folder,
    // All data can be recreated, and only a power failure loses the last commits.
    settings: { synchronous_commit: willCrash, shared_buffers: "64MB", max_wal_size: "256MB" },
  };
  let server = await startPostgres(options);
  const { connectionString } = server;
  return {
    connectionString,
    async crash() {
      await server.stop("immediate");
      server = await startPostgres({ ...options, port: Number(new URL(connectionString).port) });
    },
    stop: () => server.stop(),
  };
}

async function removeData(folder: string): Promise<void> {
  const pid = serverOn(folder);
  if (pid !== undefined) {
    throw new HowdahError(
      "HOWDAH_EMBEDDED_FAILED",
      `Another demo still uses ${folder} (process ${pid}): stop it with Ctrl-C first.`,
    );
  }
  await rm(folder, { recursive: true, force: true });
}

function serverOn(folder: string): number | undefined {
  const file = join(folder, "cluster", "data", "postmaster.pid");
  const pid = existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : Number.NaN;
  try {
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
