import { readdirSync, readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second. */
const TICK_US = 10_000;

/**
 * A function that says how much processor time the server of this backend has used so far, with all its processes, in
 * microseconds; or `undefined` where that cannot be read: not on Linux, or a server on another machine.
 */
export function createServerClock(backendPid) {
  const backend = readProcess(backendPid);
  if (!backend?.name.startsWith("postgres")) return () => undefined;
  const postmaster = backend.parent;
  return () => {
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const ticks = processes.map((pid) => {
      const read = readProcess(pid);
      if (read?.pid === postmaster) return read.ticks + read.ticksOfEnded;
      return read?.parent === postmaster ? read.ticks : 0;
    });
    return ticks.reduce((total, count) => total + count, 0) * TICK_US;
  };
}

/** What /proc says of a process, or `undefined` when there is none (any more). */
function readProcess(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name is in parentheses and may contain anything.
    const end = text.lastIndexOf(")");
    const name = text.slice(text.indexOf("(") + 1, end);
    const fields = text
      .slice(end + 2)
      .split(" ")
      .map(Number);
    const [parent, user, system, endedUser, endedSystem] = [1, 11, 12, 13, 14].map((index) => fields[index]);
    return { pid: Number(pid), name, parent, ticks: user + system, ticksOfEnded: endedUser + endedSystem };
  } catch {
    return undefined;
  }
}
