import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";

/** What the figures depend on beside the software. */
export function describeMachine() {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() || "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${arch()}`,
  };
}

/** How busy the machine was in the last minute; 0 on a quiet one. */
export function loadAverage() {
  return loadavg()[0];
}
