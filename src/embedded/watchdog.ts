import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { cleanEnvironment } from "./clean-environment.ts";
import type { SystemUser } from "./system-user.ts";

/** A signal as `kill -s` takes it. */
export type SignalName = "INT" | "QUIT" | "TERM";

/** A command that must not outlive its owner, which is this process. */
export interface GuardedCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Sent to the command when the owner has ended. */
  readonly lastSignal: SignalName;
  /** Removed when the command and its owner have ended, or by `release`. */
  readonly folder: string | undefined;
  /** An existing file for the output of the command. */
  readonly logFile: string;
  readonly user: SystemUser | undefined;
}

/** A command with its watchdog. Until `unref` it keeps this process alive. */
export interface Guard {
  /** The process id of the command, not of the watchdog. */
  readonly pid: number;
  /** The exit code of the command; -1 when the watchdog was killed and it is unknown. */
  readonly ended: Promise<number>;
  /** True when the command has ended. */
  hasEnded(): boolean;
  /** Sends a signal to the command; does nothing when it has ended. */
  signal(name: SignalName): void;
  /** Lets this process end, and the command with it. */
  unref(): void;
  /** Undoes `unref`. */
  ref(): void;
  /** Ends the watchdog, after the command has ended. Removes the folder unless `keepFolder` is true. */
  release(options?: { readonly keepFolder?: boolean }): Promise<void>;
}

/**
 * The watchdog: a shell in a session of its own, which neither Ctrl-C nor the
 * end of a terminal reaches. Its standard input is a pipe from the owner: a
 * line is a signal to pass on, and its end means that the owner has ended for
 * any reason. `$1` is the last signal, `$2` the folder or empty, then the
 * command.
 *
 * The reader is killed before the exit code is reported, so that no signal is
 * sent to a process id that may belong to another process by then.
 */
const WATCHDOG = `
last=$1 folder=$2
shift 2
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
child=$!
trap '' HUP INT TERM PIPE
echo "$child"
{
  while read -r signal <&3; do kill -s "$signal" "$child"; done
  kill -s "$last" "$child"
} 2>/dev/null &
reader=$!
wait "$child"
code=$?
{ kill -s KILL "$reader"; wait "$reader"; echo "$code"; } 2>/dev/null
while read -r line <&3; do [ "$line" = keep ] && exit; done
[ -z "$folder" ] || rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
`;

/** The exit code of a command whose watchdog was killed. */
const UNKNOWN = -1;

/** Starts a command under a watchdog. Resolves when it runs. */
export async function startGuarded(guarded: GuardedCommand): Promise<Guard> {
  const { command, args, lastSignal, folder = "", user } = guarded;
  const log = await open(guarded.logFile, "a");
  try {
    const watchdog = spawn("/bin/sh", ["-c", WATCHDOG, "howdah-watchdog", lastSignal, folder, command, ...args], {
      cwd: "/",
      detached: true,
      env: cleanEnvironment(),
      stdio: ["pipe", "pipe", log.fd],
      ...(user && { uid: user.uid, gid: user.gid }),
    });
    await once(watchdog, "spawn");
    return await guardOf(watchdog, folder);
  } finally {
    await log.close();
  }
}

async function guardOf(watchdog: ChildProcess, folder: string): Promise<Guard> {
  const input = watchdog.stdin as Socket;
  const output = watchdog.stdout as Socket;
  // Writing to a killed watchdog must not end the owner.
  input.on("error", () => {});

  let pid: number | undefined;
  let code: number | undefined;
  const gone = once(watchdog, "close");
  const lines = createInterface({ input: output });
  const ended = new Promise<number>((resolve) => {
    lines.on("line", (line) => {
      if (pid === undefined) pid = Number(line);
      else resolve((code ??= Number(line)));
    });
    watchdog.on("close", () => {
      if (code === undefined && pid !== undefined) endOrphan(pid);
      resolve((code ??= UNKNOWN));
    });
  });
  await Promise.race([once(lines, "line"), gone]);
  if (pid === undefined) throw new Error("The watchdog of PostgreSQL ended before it started anything");

  // In Bun, the pipes of a process have neither method.
  const handles: readonly Referenced[] = [watchdog, input, output];
  return {
    pid,
    ended,
    hasEnded: () => code !== undefined,
    signal(name) {
      if (code === undefined) input.write(`${name}\n`);
    },
    unref() {
      for (const handle of handles) handle.unref?.();
    },
    ref() {
      for (const handle of handles) handle.ref?.();
    },
    async release({ keepFolder = false } = {}) {
      await ended;
      input.end(keepFolder ? "keep\n" : "");
      await gone;
      if (code === UNKNOWN && folder !== "" && !keepFolder) await removeFolder(folder);
    },
  };
}

/** What keeps this process alive, until `unref`. */
interface Referenced {
  ref?(): void;
  unref?(): void;
}

/** The watchdog was killed, so this process does its work. */
function endOrphan(pid: number): void {
  try {
    process.kill(pid, "SIGQUIT");
  } catch {
    // The command has ended as well.
  }
}

/** Tries again for as long as an ending server still writes there. */
async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
