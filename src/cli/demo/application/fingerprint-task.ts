import { join } from "node:path";
import { cancel, defineTask, type JobContext } from "../../../index.ts";
import type { FilesTable, FileToHash } from "./files-table.ts";
import { hashFile } from "./hash-file.ts";
import { isGone } from "./walk-files.ts";

/**
 * The only task of the demo: hashes one file and writes the result into the
 * demo's table. The job of a file that has vanished is cancelled; one that
 * changes while it is read gets two more attempts.
 */
export const fingerprintFile = defineTask({
  identifier: "fingerprint_file",
  defaults: { maxAttempts: 3 },
  retry: { type: "fixed", delay: "1s" },
  async run(file: FileToHash, { job, state: files, signal }: JobContext<FilesTable>) {
    const startedAtMs = nowMs();
    try {
      const hashed = await hashFile(join(file.directory, file.path), signal);
      await files.writeHash(file, { ...hashed, startedAtMs, endedAtMs: nowMs() });
      return undefined;
    } catch (error) {
      if (isGone(error)) {
        await files.writeProblem(file, "vanished");
        return cancel("The file has vanished");
      }
      const isLast = job.attempts >= job.maxAttempts && !signal.aborted;
      if (isLast) await files.writeProblem(file, error instanceof Error ? error.message : String(error));
      throw error;
    }
  },
});

/** Fine enough to order jobs that take less than a millisecond. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
