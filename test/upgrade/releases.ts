import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { packPackage, type UnpackedPackage, unpackPackage } from "../harness/unpacked-package.ts";

const FOLDER = resolve(import.meta.dirname, "releases");

/** A release of the package, or this tree, as processes load it. */
export interface Release {
  /** The URL of what `import "howdah"` means. */
  readonly main: string;
  /** The path of the command line. */
  readonly cli: string;
}

/** This tree, as it was built. */
export const THIS_TREE: Release = releaseIn(resolve(import.meta.dirname, "../.."));

/** The names of the packages that were released. Until there is one, this tree stands for it. */
export function releaseNames(): string[] {
  const released = existsSync(FOLDER) ? readdirSync(FOLDER).filter((file) => file.endsWith(".tgz")) : [];
  return released.length > 0 ? released.sort() : ["this tree"];
}

/** Unpacks a release of {@link releaseNames}, with the dependencies that are installed here. */
export async function unpackRelease(name: string): Promise<Release & AsyncDisposable> {
  const unpacked = name === "this tree" ? await unpackThisTree() : await unpackPackage(join(FOLDER, name));
  return { ...releaseIn(unpacked.folder), [Symbol.asyncDispose]: () => unpacked.remove() };
}

async function unpackThisTree(): Promise<UnpackedPackage> {
  const scratch = await mkdtemp(join(tmpdir(), "howdah-upgrade-"));
  try {
    return await unpackPackage((await packPackage(scratch)).tarball);
  } finally {
    await rm(scratch, { recursive: true });
  }
}

function releaseIn(folder: string): Release {
  return { main: pathToFileURL(join(folder, "dist/index.js")).href, cli: join(folder, "dist/cli/main.js") };
}
