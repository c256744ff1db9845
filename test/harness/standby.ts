import { execFileSync } from "node:child_process";
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, startPostgres } from "../../src/embedded/index.ts";
import type { PostgresVersion } from "../../src/embedded/binaries.ts";
import type { SettingValue } from "../../src/embedded/options.ts";
import { until } from "./until.ts";
import { askOnce } from "./ask-once.ts";

/** A primary, and a standby that follows it and can be asked. */
export interface ReplicatedServers extends AsyncDisposable {
  readonly primary: EmbeddedPostgres;
  readonly standby: EmbeddedPostgres;
  /** Resolves when the standby has all that the primary has committed. */
  caughtUp(): Promise<void>;
  /** Kills the primary and lets the standby take over. */
  failOver(): Promise<void>;
}

/** Starts both, the standby with further settings. */
export async function startReplicatedServers(
  settings: Readonly<Record<string, SettingValue>> = {},
): Promise<ReplicatedServers> {
  const folder = mkdtempSync(join(tmpdir(), "howdah-standby-"));
  execFileSync("chmod", ["755", folder]);
  const version = (process.env["HOWDAH_TEST_POSTGRES"] || "18") as PostgresVersion;
  const start = (name: string, more: Readonly<Record<string, SettingValue>> = {}): Promise<EmbeddedPostgres> =>
    startPostgres({ dataDir: join(folder, name), version, settings: { ...SMALL, ...more } });
  const first = await start("primary");
  await first.stop("fast");
  execFileSync("cp", ["-a", join(folder, "primary"), join(folder, "standby")]);
  signal(join(folder, "standby", "cluster", "data"));
  const primary = await start("primary");
  const { hostname, port, username, password } = new URL(primary.connectionString);
  const source = `host=${hostname} port=${port} user=${username} password=${password}`;
  const standby = await start("standby", { ...settings, primary_conninfo: source });
  return {
    primary,
    standby,
    async caughtUp() {
      const lsn = await askOnce(primary.connectionString, "select pg_current_wal_lsn()::text");
      await until(async () => {
        const reached = `select (pg_last_wal_replay_lsn() >= '${String(lsn)}')::text`;
        return (await askOnce(standby.connectionString, reached)) === "true";
      });
    },
    async failOver() {
      await primary.stop("immediate");
      await askOnce(standby.connectionString, "select pg_promote()::text");
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([primary.stop("immediate"), standby.stop("immediate")]);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const SMALL = { fsync: false, shared_buffers: "16MB", max_connections: 50 };

/** The file by which a server knows that it is a standby. */
function signal(data: string): void {
  const file = join(data, "standby.signal");
  writeFileSync(file, "");
  const { uid, gid } = statSync(data);
  chownSync(file, uid, gid);
}
