import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { HowdahError } from "../errors.ts";

const run = promisify(execFile);

/** A user of this machine. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The users as whom PostgreSQL may run when this process is root; the first that exists is used. */
const UNPRIVILEGED_USERS = ["postgres", "_postgres", "nobody", "daemon"];

/**
 * The user as whom PostgreSQL must run: `undefined`, the user of this process,
 * unless that is root; then the owner of `dataDir`, or if that is root too or
 * does not exist yet, an unprivileged user. Rejects with
 * `HOWDAH_EMBEDDED_FAILED` when there is no such user.
 */
export async function findSystemUser(dataDir?: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = parsePasswd(await readFile("/etc/passwd", "utf8"));
  const owner = dataDir === undefined ? undefined : await stat(dataDir).catch(() => undefined);
  if (owner && owner.uid !== 0) {
    const name = users.find(({ uid }) => uid === owner.uid)?.name ?? String(owner.uid);
    return { name, uid: owner.uid, gid: owner.gid };
  }
  for (const name of UNPRIVILEGED_USERS) {
    const user = users.find((candidate) => candidate.name === name && candidate.uid !== 0);
    if (user) return user;
  }
  throw new HowdahError(
    "HOWDAH_EMBEDDED_FAILED",
    "PostgreSQL does not run as root, and none of these users exists to run it instead: " +
      `${UNPRIVILEGED_USERS.join(", ")}. Run as another user, or create one of them.`,
  );
}

/** True when `user` can enter `folder` and write to it; always true for `undefined`, the user of this process. */
export async function canUse(user: SystemUser | undefined, folder: string): Promise<boolean> {
  if (!user) return true;
  const options = { cwd: "/", uid: user.uid, gid: user.gid };
  return run("/bin/sh", ["-c", 'test -w "$1" && test -x "$1"', "sh", folder], options).then(
    () => true,
    () => false,
  );
}

/** Reads the users of an `/etc/passwd`; other lines are skipped. */
export function parsePasswd(text: string): SystemUser[] {
  const users: SystemUser[] = [];
  for (const line of text.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (!name || name.startsWith("#") || !isNumber(uid) || !isNumber(gid)) continue;
    users.push({ name, uid: Number(uid), gid: Number(gid) });
  }
  return users;
}

/** The user `nobody` of macOS has the id -2. */
function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^-?\d+$/.test(text);
}
