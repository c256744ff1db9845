import { expect, it } from "vitest";
import { readFolderMap } from "./folder-map.ts";

it("reads folders and files with the path they lie at", () => {
  const markdown = [
    "# Map",
    "```tree",
    "src/",
    "  errors.ts",
    "  job/   nouns and verbs",
    "    add/",
    "test/",
    "```",
  ].join("\n");
  expect(readFolderMap(markdown)).toEqual({
    folders: ["src", "src/job", "src/job/add", "test"],
    files: ["src/errors.ts"],
  });
});

it("refuses a line that lies in no folder", () => {
  expect(() => readFolderMap("```tree\nsrc/\n    add/\n```\n")).toThrow("lies in no folder");
});

it("refuses a document without a map", () => {
  expect(() => readFolderMap("# Nothing\n```text\nsrc/\n```\n")).toThrow("no block");
});
