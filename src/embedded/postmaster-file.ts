import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { HowdahError } from "../errors.ts";
import type { Clock } from "../runtime/clock.ts";

/** The content of the file `postmaster.pid` of a running server. */
export interface PostmasterFile {
  readonly pid: number;
  /** True when the server takes connections. */
  readonly ready: boolean;
  /** True when the server is shutting down. */
  readonly stopping: boolean;
}

const run = promisify(execFile);

/** How long a server whose owner was killed may take to end before its folder counts as in use. */
const NOTICE_MS = 3_000;

/** How long to wait between two checks. */
const REST_MS = 50;

/** Reads the file; `undefined` when there is none, or not yet a whole one. */
export async function readPostmasterFile(data: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const status = lines[7]?.trim();
  return { pid, ready: status === "ready", stopping: status === "stopping" };
}

/**
 * Waits for the end of a server that is being shut down, and removes the file
 * of one that was killed. PostgreSQL itself would do the latter, unless another
 * process of the same user has the process id now, which is common in
 * containers. Rejects with `HOWDAH_EMBEDDED_FAILED` when a server goes on
 * running there.
 */
export async function awaitUnusedData(data: string, clock: Clock): Promise<void> {
  let deadline = clock.monotonic() + NOTICE_MS;
  for (;;) {
    const file = await readPostmasterFile(data);
    if (!file || !isAlive(file.pid)) return;
    if (!(await isServerOf(data, file.pid))) return rm(join(data, "postmaster.pid"), { force: true });
    if (file.stopping) deadline = clock.monotonic() + NOTICE_MS;
    if (clock.monotonic() > deadline) throw inUse(data, file.pid);
    await clock.sleep(REST_MS);
  }
}

function inUse(data: string, pid: number): HowdahError {
  return new HowdahError("HOWDAH_EMBEDDED_FAILED", `A PostgreSQL server (process ${pid}) already runs on ${data}.`);
}

/** True when there is such a process. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** True when process `pid` is a server that was started with this data folder, or when that is unknown. */
async function isServerOf(data: string, pid: number): Promise<boolean> {
  try {
    const line =
      process.platform === "linux"
        ? await readFile(`/proc/${pid}/cmdline`, "utf8")
        : (await run("ps", ["-ww", "-o", "args=", "-p", String(pid)])).stdout;
    return line.includes(data);
  } catch {
    return isAlive(pid);
  }
}
