import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The root of the repository. */
export const ROOT = resolve(import.meta.dirname, "../..");

const NOT_OURS = new Set(["node_modules", "coverage"]);

/** Every file below `folder` of the repository, as a path from its root; nothing hidden, installed or built. */
export function projectFiles(folder = ""): string[] {
  return (
    readdirSync(join(ROOT, folder), { withFileTypes: true })
      // `dist` is what was built, except in test/, where it is what is tested.
      .filter(({ name }) => !name.startsWith(".") && !NOT_OURS.has(name) && !(folder === "" && name === "dist"))
      .flatMap((entry) => {
        const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
        return entry.isDirectory() ? projectFiles(path) : [path];
      })
  );
}

/** The folders that hold `files`, at any depth, each once and without a closing slash. */
export function foldersOf(files: readonly string[]): string[] {
  const folders = files.flatMap((file) => {
    const parts = file.split("/").slice(0, -1);
    return parts.map((_, depth) => parts.slice(0, depth + 1).join("/"));
  });
  return [...new Set(folders)].sort();
}

/** The text of one file of the repository. */
export function readProjectFile(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}
