import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { access, lstat, opendir } from "node:fs/promises";
import { fileStamp } from "./file-stamp.ts";

/**
 * Finds all files below a directory, in batches, in the order in which the file
 * system lists them. It holds no more than one batch and the folders that are
 * still to be read. Unreadable entries are counted and throw no error.
 */
export async function* walkFiles(options: WalkOptions): AsyncGenerator<FoundFile[]> {
  const folders = [""];
  let paths: string[] = [];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const { path, isFolder } of readFolder(folder, options)) {
      if (isFolder) folders.push(path);
      else paths.push(path);
      if (paths.length < options.batchSize) continue;
      yield await inspectFiles(paths, options);
      paths = [];
    }
  }
  yield await inspectFiles(paths, options);
}

/** A file that was found. */
export interface FoundFile {
  /** Below the walked directory, with `/` between the folders. */
  readonly path: string;
  readonly stamp: string;
}

/** The entries that a walk leaves out, counted by reason; a folder counts once. */
export interface LeftOut {
  git: number;
  symbolicLinks: number;
  /** Sockets, pipes and devices. */
  specialFiles: number;
  unreadable: number;
  /** Names that are not text, which PostgreSQL cannot store. */
  namesNotUtf8: number;
  /** Written by the demo itself. */
  own: number;
}

/** What to walk. */
export interface WalkOptions {
  readonly directory: string;
  /** Absolute paths to leave out as the demo's own. */
  readonly own: ReadonlySet<string>;
  /** Counts up while the walk goes on. */
  readonly leftOut: LeftOut;
  /** How many files to yield at once. */
  readonly batchSize: number;
}

/** Nothing left out yet. */
export function noneLeftOut(): LeftOut {
  return { git: 0, symbolicLinks: 0, specialFiles: 0, unreadable: 0, namesNotUtf8: 0, own: 0 };
}

interface Entry {
  readonly path: string;
  readonly isFolder: boolean;
}

async function* readFolder(folder: string, { directory, own, leftOut }: WalkOptions): AsyncGenerator<Entry> {
  const root = directory === "/" ? "" : directory;
  const parent = folder === "" ? root : `${root}/${folder}`;
  // Bytes, because a name that is not UTF-8 would be converted to one that no file has. The types only allow texts.
  const entries = opendir(parent || "/", { encoding: "buffer" as BufferEncoding });
  try {
    for await (const entry of await entries) {
      const bytes = entry.name as unknown as Buffer;
      const name = bytes.toString();
      if (!isUtf8(bytes)) leftOut.namesNotUtf8 += 1;
      else if (name === ".git") leftOut.git += 1;
      else if (entry.isSymbolicLink()) leftOut.symbolicLinks += 1;
      else if (own.has(`${parent}/${name}`)) leftOut.own += 1;
      else if (!entry.isFile() && !entry.isDirectory()) leftOut.specialFiles += 1;
      else yield { path: folder === "" ? name : `${folder}/${name}`, isFolder: entry.isDirectory() };
    }
  } catch (error) {
    // A folder that was deleted since it was listed has nothing to leave out.
    if (!isGone(error)) leftOut.unreadable += 1;
  }
}

async function inspectFiles(paths: readonly string[], options: WalkOptions): Promise<FoundFile[]> {
  const found = await Promise.all(paths.map((path) => inspectFile(path, options)));
  return found.filter((file) => file !== undefined);
}

async function inspectFile(path: string, { directory, leftOut }: WalkOptions): Promise<FoundFile | undefined> {
  const file = `${directory}/${path}`;
  try {
    await access(file, constants.R_OK);
    return { path, stamp: fileStamp(await lstat(file, { bigint: true })) };
  } catch (error) {
    if (!isGone(error)) leftOut.unreadable += 1;
    return undefined;
  }
}

/** True when the file does not exist any more. */
export function isGone(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code === "ENOENT" || code === "ENOTDIR";
}
