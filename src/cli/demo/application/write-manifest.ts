import { randomBytes } from "node:crypto";
import { lstat, open, rename, rm } from "node:fs/promises";
import { fileStamp } from "./file-stamp.ts";
import type { FilesTable, HashedRow } from "./files-table.ts";
import { isGone } from "./walk-files.ts";

/**
 * Writes a manifest for `sha256sum --check` of all files in the table that have
 * not changed since, and deletes the rows of the others. The file appears
 * completely or not at all, readable for its owner.
 */
export async function writeManifest(
  files: FilesTable,
  { directory, manifest }: { readonly directory: string; readonly manifest: string },
): Promise<ManifestGaps> {
  const changed: string[] = [];
  const stale: string[] = [];
  const draft = `${manifest}.${randomBytes(6).toString("hex")}`;
  const file = await open(draft, "wx", 0o644);
  try {
    await files.eachBatch(async (rows) => {
      const states = await Promise.all(rows.map((row) => compare(row, directory)));
      stale.push(...rows.filter((_, index) => states[index] !== "same").map(({ id }) => id));
      changed.push(...rows.filter((_, index) => states[index] === "changed").map(({ path }) => path));
      const lines = rows.filter((_, index) => states[index] === "same").map(manifestLine);
      await file.write(lines.join(""));
    });
    await file.close();
    await rename(draft, manifest);
  } catch (error) {
    await file.close();
    await rm(draft, { force: true });
    throw error;
  }
  await files.forget(stale);
  return { changed, vanished: stale.length - changed.length };
}

/** The files that are not in the manifest. */
export interface ManifestGaps {
  /** Files that do not exist any more. */
  readonly vanished: number;
  /** Files that have changed since they were hashed. */
  readonly changed: readonly string[];
}

/** One line as `sha256sum` writes it: names that would break the line are escaped, and the line says so. */
export function manifestLine({ path, sha256 }: Pick<HashedRow, "path" | "sha256">): string {
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `${escaped === path ? "" : "\\"}${sha256}  ${escaped}\n`;
}

async function compare({ path, stamp }: HashedRow, directory: string): Promise<"same" | "changed" | "vanished"> {
  try {
    return fileStamp(await lstat(`${directory}/${path}`, { bigint: true })) === stamp ? "same" : "changed";
  } catch (error) {
    if (isGone(error)) return "vanished";
    return "changed";
  }
}
