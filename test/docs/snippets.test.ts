import { describe, expect, it } from "vitest";
import { compile } from "./compile.ts";
import { projectFiles, readProjectFile } from "./project-tree.ts";
import { COMPILED_ELSEWHERE, moduleOf, needsLibraries, type Snippet, snippetsOf, WORDS } from "./snippets.ts";

/** What a block of a guide may use without saying where it comes from. */
const PRELUDE = [
  'declare const client: import("howdah").Client;',
  'declare const worker: import("howdah").Worker;',
  'declare const pool: import("pg").Pool;',
].join(" ");

const documents = ["README.md", ...projectFiles("docs")].filter(
  (file) => file.endsWith(".md") && !(file in COMPILED_ELSEWHERE) && snippetsOf(readProjectFile(file)).length > 0,
);
const only = (snippet: Snippet): boolean => !needsLibraries(snippet);
const modules = new Map(
  documents.map((file) => [`${file}.ts`, moduleOf(readProjectFile(file), { prelude: PRELUDE, only })]),
);

describe("every block of TypeScript in the documentation compiles", () => {
  const complaints = compile(modules);

  it.each(documents)("%s", (document) => {
    const found = complaints.get(`${document}.ts`) ?? [];
    expect(found.map(({ line, message }) => `${document}:${line} ${message}`)).toEqual([]);
  });
});

it.each(documents)("each block of TypeScript in %s has no word behind its fence, or one that is known", (document) => {
  const words = snippetsOf(readProjectFile(document)).map((snippet) => snippet.words);
  expect(words.filter(([word, ...more]) => more.length > 0 || (word !== undefined && !(word in WORDS)))).toEqual([]);
});

describe("the compiler that the documentation is compiled with", () => {
  it("knows the types of the package and of its subpaths", () => {
    const text = [
      "# Title",
      "```ts",
      'import { defineTask } from "howdah";',
      'defineTask({ identifier: "a", runs() {} });',
      "```",
      "```ts",
      'import { defineTask } from "howdah";',
      'import { createManualClock } from "howdah/testing";',
      'createManualClock("now");',
      "```",
    ].join("\n");
    const complaints = compile(new Map([["docs/x.md.ts", moduleOf(text)]])).get("docs/x.md.ts") ?? [];
    expect(complaints.map(({ line }) => line)).toEqual([4, 9]);
  });

  it("lets a block use what an earlier one declared, and declare it again", () => {
    const text = "```ts\nconst a = 1;\n```\n\n```ts\nconst b: number = a;\n```\n\n```ts\nconst a = b + 1;\n```\n";
    const complaints = compile(new Map([["docs/y.md.ts", moduleOf(text)]]));
    expect(complaints.get("docs/y.md.ts")).toEqual([]);
  });
});
