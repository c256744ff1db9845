import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * What a worker stores about its process, so that another process of the same
 * machine can check whether it still exists:
 *
 *   place   machine and boot, pid and time namespace, host name, as a digest
 *   pid     in that namespace
 *   start   when the process began, in the kernel's ticks since the boot
 *
 * Where the system does not provide these, a mark only says which workers share a process.
 */
export interface ProcessMark {
  readonly place: string;
  readonly pid: number;
  readonly start: string;
}

/** The functions of the system that are needed; tests replace them. */
export interface ProcessSource {
  readonly pid: number;
  /** Reads a file of /proc. Throws when it does not exist. */
  read(path: string): string;
  /** Reads a link of /proc. Throws when it does not exist. */
  link(path: string): string;
  host(): string;
  /** Whether a process of any user has this pid in the own namespace. */
  exists(pid: number): boolean;
}

/** The system that this process runs on. */
export const systemProcesses: ProcessSource = {
  pid: process.pid,
  read: (path) => readFileSync(path, "utf8"),
  link: (path) => readlinkSync(path),
  host: hostname,
  exists(pid) {
    try {
      return process.kill(pid, 0);
    } catch (error) {
      // EPERM means that the process exists and belongs to another user.
      return (error as { code?: string }).code !== "ESRCH";
    }
  },
};

const PLACELESS = `unknown-${randomBytes(9).toString("hex")}`;

/** The mark of this process. */
export function readProcessMark(source: ProcessSource = systemProcesses): ProcessMark {
  const unplaced = { place: PLACELESS, pid: source.pid, start: "0" };
  try {
    const own = readStat(source, "self");
    // The /proc of another namespace lists other processes.
    if (!own || own.pid !== source.pid) return unplaced;
    const boot = source.read("/proc/sys/kernel/random/boot_id").trim();
    if (boot.length < 16) return unplaced;
    const parts = [boot, source.link("/proc/self/ns/pid"), timeNamespace(source), source.host()];
    const place = createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 24);
    return { place, pid: own.pid, start: own.start };
  } catch {
    return unplaced;
  }
}

/** The mark as it is stored. */
export function writeProcessMark({ place, pid, start }: ProcessMark): string {
  return `${place} ${pid} ${start}`;
}

/**
 * True when the process of a stored mark is certainly gone: it belonged to the
 * same boot and namespace, and now no process has its pid, or one that began at
 * another time, or a zombie.
 */
export function isProcessGone(stored: string, own: ProcessMark, source: ProcessSource = systemProcesses): boolean {
  const [place, pid, start] = stored.split(" ");
  if (place !== own.place || own.place === PLACELESS || !/^[1-9]\d*$/.test(pid ?? "") || start === undefined)
    return false;
  if (!source.exists(Number(pid))) return true;
  try {
    const found = readStat(source, String(pid));
    return found !== undefined && (found.start !== start || found.isOver);
  } catch {
    return false;
  }
}

/** Absent before Linux 5.6. Within another one, processes seem to have begun at other times. */
function timeNamespace(source: ProcessSource): string {
  try {
    return source.link("/proc/self/ns/time");
  } catch {
    return "";
  }
}

interface Stat {
  readonly pid: number;
  readonly start: string;
  /** It has ended with all its threads, and its parent has not reaped it. */
  readonly isOver: boolean;
}

/** The name in the second field may contain anything, so fields are counted from its end. */
function readStat(source: ProcessSource, name: string): Stat | undefined {
  const text = source.read(`/proc/${name}/stat`);
  const end = text.lastIndexOf(")");
  const fields = text
    .slice(end + 1)
    .trim()
    .split(" ");
  const [state, threads, start] = [fields[0], fields[17], fields[19]];
  const pid = Number.parseInt(text, 10);
  if (end < 0 || start === undefined || !/^\d+$/.test(start) || !Number.isInteger(pid)) return undefined;
  return { pid, start, isOver: state === "X" || (state === "Z" && Number(threads) <= 1) };
}
