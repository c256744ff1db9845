import { expect, it } from "vitest";
import { readFolderMap } from "./folder-map.ts";
import { foldersOf, projectFiles, readProjectFile } from "./project-tree.ts";

const FORBIDDEN = /^(util|helper|lib|common|misc|type|interface|constant|manager|service)s?$/;

/** The words of a path's last part that could be its whole name: `job-types.test.ts` has none, `types.ts` has one. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).split(".")[0] ?? "";
}

it("names no file or folder after what is left over", () => {
  const files = ["src", "test", "scripts"].flatMap((folder) => projectFiles(folder));
  expect(files.length).toBeGreaterThan(0);
  // test/types holds tests of types: there the word says what is inside.
  const paths = [...files, ...foldersOf(files)].filter((path) => path !== "test/types");
  expect(paths.filter((path) => FORBIDDEN.test(nameOf(path)))).toEqual([]);
});

it("shows every folder, two levels deep, in the map of ARCHITECTURE.md", () => {
  const map = readFolderMap(readProjectFile("ARCHITECTURE.md"));
  const folders = foldersOf(projectFiles()).filter((folder) => folder.split("/").length <= 2);
  expect(folders.filter((folder) => !map.folders.includes(folder))).toEqual([]);
});

it("shows nothing in the map of ARCHITECTURE.md that does not exist", () => {
  const map = readFolderMap(readProjectFile("ARCHITECTURE.md"));
  const files = projectFiles();
  expect(map.folders.filter((folder) => !foldersOf(files).includes(folder))).toEqual([]);
  expect(map.files.filter((file) => !files.includes(file))).toEqual([]);
});
