import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { fileStamp } from "./file-stamp.ts";

/**
 * Hashes a file without holding more than a chunk of it. Rejects when the file
 * changed while it was read, with the error of the system when it cannot be
 * read, and with the reason of `signal` when that is aborted.
 */
export async function hashFile(path: string, signal: AbortSignal): Promise<HashedFile> {
  // The file may have been replaced by a link, or by a pipe that never answers.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) throw new Error("It is not a file any more");
    const { sha256, bytes } = await hashContent(file, Number(before.size), signal);
    const stamp = fileStamp(before);
    if (fileStamp(await file.stat({ bigint: true })) !== stamp) throw new Error("It changed while it was read");
    return { sha256, bytes, stamp };
  } finally {
    await file.close();
  }
}

/** The hash of a file and its stamp. */
export interface HashedFile {
  readonly sha256: string;
  readonly bytes: number;
  readonly stamp: string;
}

const CHUNK_BYTES = 256 * 1024;

async function hashContent(file: FileHandle, size: number, signal: AbortSignal) {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES));
  let bytes = 0;
  while (bytes < size) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk);
    // Shorter than its size said: the stamps will differ.
    if (bytesRead === 0) break;
    hash.update(chunk.subarray(0, bytesRead));
    bytes += bytesRead;
  }
  return { sha256: hash.digest("hex"), bytes };
}
