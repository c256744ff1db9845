import { expect, it } from "vitest";
import { compile } from "../docs/compile.ts";
import { projectFiles, readProjectFile } from "../docs/project-tree.ts";
import { COMPILED_ELSEWHERE, moduleOf, needsLibraries, snippetsOf } from "../docs/snippets.ts";

const FOLDER = "test/transactions";

const pages = ["README.md", ...projectFiles("docs")].filter(
  (page) =>
    page.endsWith(".md") &&
    (COMPILED_ELSEWHERE[page] === FOLDER ||
      snippetsOf(readProjectFile(page)).some((snippet) => needsLibraries(snippet))),
);

it("finds the guide and the front page", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "docs/guides/with-your-orm.md"]));
});

it.each(pages)(
  "every block of TypeScript in %s compiles against the real libraries",
  (page) => {
    // Beside the libraries, so that it finds them.
    const path = `${FOLDER}/${page.replaceAll("/", "-")}.ts`;
    const complaints = compile(new Map([[path, moduleOf(readProjectFile(page))]])).get(path) ?? [];
    expect(complaints.map(({ line, message }) => `${page}:${line} ${message}`)).toEqual([]);
  },
  60_000,
);
