import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { HowdahError } from "../errors.ts";
import type { BinaryPackage } from "./binaries.ts";
import { cleanEnvironment } from "./clean-environment.ts";
import type { SystemUser } from "./system-user.ts";

const run = promisify(execFile);

/**
 * The `native` folder of binaries that `user` can run: the package's own when
 * that works, otherwise a copy that is kept for the next time. A copy is needed
 * when the package was installed without its scripts, which create its library
 * links, or is in a folder that `user` cannot enter.
 */
export async function runnableBinaries(found: BinaryPackage, user: SystemUser | undefined): Promise<string> {
  const inPlace = join(found.folder, "native");
  let problem: unknown;
  if (found.links.every(({ target }) => existsSync(join(found.folder, target)))) {
    problem = await tryToRun(inPlace, user);
    if (problem === undefined) return inPlace;
  }
  for (const cache of cacheFolders()) {
    try {
      const copy = join(await cachedCopy(found, cache), "native");
      problem = await tryToRun(copy, user);
      if (problem === undefined) return copy;
    } catch (error) {
      problem = error;
    }
  }
  const as = user ? ` as user ${user.name}` : "";
  throw new HowdahError(
    "HOWDAH_EMBEDDED_FAILED",
    `The PostgreSQL binaries in ${inPlace} do not run here${as}, and neither does a copy of them: ${String(problem)}`,
    problem,
  );
}

async function tryToRun(native: string, user: SystemUser | undefined): Promise<unknown> {
  const as = user && { uid: user.uid, gid: user.gid };
  try {
    for (const program of ["initdb", "postgres"]) {
      await run(join(native, "bin", program), ["-V"], { cwd: "/", env: cleanEnvironment(), ...as });
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

function cacheFolders(): string[] {
  const uid = process.getuid?.() ?? 0;
  const lasting = uid === 0 ? "/var/cache" : process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return [join(lasting, "howdah"), join(tmpdir(), `howdah-cache-${uid}`)];
}

/** Copies under a temporary name and renames, so that a copy with its final name is always complete. */
async function cachedCopy(found: BinaryPackage, cache: string): Promise<string> {
  const copy = join(cache, found.label);
  await mkdir(cache, { recursive: true, mode: 0o755 });
  await refuseForeignFolder(cache);
  if (existsSync(copy)) return copy;

  const draft = await mkdtemp(join(cache, "draft-"));
  try {
    // Links as they are: resolved, they would lead back into the folder that this user cannot enter.
    await cp(join(found.folder, "native"), join(draft, "native"), { recursive: true, verbatimSymlinks: true });
    await letEverybodyRead(draft);
    await makeLinks(found, draft);
    await rename(draft, copy);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another process was faster; its copy is the same.
    if (!existsSync(copy)) throw error;
  }
  return copy;
}

/** Programs are run from here, so other users must not be able to write to it. */
async function refuseForeignFolder(folder: string): Promise<void> {
  const { uid, mode } = await stat(folder);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    throw new Error(`${folder} belongs to, or can be written by, another user`);
  }
}

async function letEverybodyRead(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, basename(dirname(path)) === "bin" ? 0o755 : 0o644);
  }
}

async function makeLinks(found: BinaryPackage, folder: string): Promise<void> {
  for (const { source, target } of found.links) {
    const link = join(folder, target);
    if (!existsSync(link)) await symlink(relative(dirname(link), join(folder, source)), link);
  }
}
