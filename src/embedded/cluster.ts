import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, mkdir, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HowdahError } from "../errors.ts";
import { canUse, type SystemUser } from "./system-user.ts";

/**
 * The folder of a server. Everything directly in it is ours; below `cluster`
 * only PostgreSQL writes.
 */
export interface ClusterFolder {
  readonly path: string;
  /** Removed when the server ends. */
  readonly temporary: boolean;
  /** The data directory of PostgreSQL. */
  readonly data: string;
  readonly passwordFile: string;
  /** Written anew by every start. */
  readonly settingsFile: string;
  /** Written anew by every start. */
  readonly logFile: string;
  readonly user: SystemUser | undefined;
}

/** A cluster that is being created. */
export interface ClusterDraft {
  readonly path: string;
  readonly data: string;
  readonly passwordFile: string;
}

/** The entries that may exist in a folder in which a new cluster is created, by this start or by a concurrent one. */
const HARMLESS = /^(\..*|lost\+found|draft-.*|(settings\.conf|server\.log)(\.[0-9a-f]+)?)$/;

/**
 * Opens `dataDir`, or makes a temporary folder, such that `user` can work in it
 * and other users cannot read it. Rejects with `HOWDAH_OPTION_INVALID` when the
 * folder cannot be used.
 */
export async function openClusterFolder(
  dataDir: string | undefined,
  user: SystemUser | undefined,
): Promise<ClusterFolder> {
  const path = dataDir ?? (await mkdtemp(join(await temporaryRoot(user), "howdah-postgres-")));
  if (dataDir !== undefined) await prepareDataDir(dataDir);
  if (user && (await stat(path)).uid === 0) await chown(path, user.uid, user.gid);
  if (!(await canUse(user, path))) {
    throw unusable(path, `user ${user?.name}, who has to run PostgreSQL because root cannot, may not write there`);
  }
  return {
    path,
    temporary: dataDir === undefined,
    data: join(path, "cluster", "data"),
    passwordFile: join(path, "cluster", "password"),
    settingsFile: join(path, "settings.conf"),
    logFile: join(path, "server.log"),
    user,
  };
}

/** The system's folder for temporary files, unless only root can use it and the server runs as another user. */
async function temporaryRoot(user: SystemUser | undefined): Promise<string> {
  for (const folder of [tmpdir(), "/tmp", "/var/tmp"]) {
    if (await canUse(user, folder)) return folder;
  }
  throw unusable(tmpdir(), `user ${user?.name}, who has to run PostgreSQL because root cannot, may not write there`);
}

async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dirname(dataDir), { recursive: true });
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const names = await readdir(dataDir);
    const foreign = names.includes("cluster") ? undefined : names.find((name) => !HARMLESS.test(name));
    if (foreign === undefined) return;
    throw unusable(dataDir, `it is neither empty nor a folder of this kind: there is ${JSON.stringify(foreign)} in it`);
  } catch (error) {
    throw error instanceof HowdahError ? error : unusable(dataDir, String(error), error);
  }
}

/**
 * Creates the cluster if there is none: `initialise` fills a draft, which then
 * becomes the cluster in one step, so that an interrupted start leaves no
 * incomplete cluster, and of two concurrent starts one wins.
 */
export async function ensureCluster(
  folder: ClusterFolder,
  initialise: (draft: ClusterDraft) => Promise<void>,
): Promise<void> {
  const cluster = join(folder.path, "cluster");
  if (existsSync(cluster)) return;
  const path = await mkdtemp(join(folder.path, "draft-"));
  if (folder.user) await chown(path, folder.user.uid, folder.user.gid);
  const draft = { path, data: join(path, "data"), passwordFile: join(path, "password") };
  try {
    await writeOwnFile(draft.passwordFile, randomBytes(24).toString("base64url"), folder.user);
    await initialise(draft);
    await rename(path, cluster);
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    if (!existsSync(cluster)) throw error;
  }
}

/**
 * Writes a file that only `user` (or we) can read. It always replaces the old
 * file by a new one: if root wrote to the existing file, `user` could replace
 * that by a link to a file of root.
 */
export async function writeOwnFile(path: string, text: string, user: SystemUser | undefined): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(text);
    if (user) await file.chown(user.uid, user.gid);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

function unusable(folder: string, why: string, cause?: unknown): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", `PostgreSQL cannot keep its data in ${folder}: ${why}.`, cause);
}
