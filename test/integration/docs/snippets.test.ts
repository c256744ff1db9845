import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, expect, it } from "vitest";
import { projectFiles, readProjectFile, ROOT } from "../../docs/project-tree.ts";
import { snippetsOf } from "../../docs/snippets.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { runPage } from "../../harness/run-page.ts";

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createDatabase();
  // Inside of the package, so that a block can import it by its name.
  await mkdir(join(ROOT, ".cache"), { recursive: true });
  folder = await mkdtemp(join(ROOT, ".cache/snippets-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await database.drop();
});

const pages = ["README.md", ...projectFiles("docs")].filter((file) => file.endsWith(".md"));
const blocks = pages
  .flatMap((file) => snippetsOf(readProjectFile(file)).map((snippet) => ({ ...snippet, file })))
  .filter(({ words }) => words.includes("run"))
  .map(({ file, fence, lines }) => ({ place: `${file}:${fence + 1}`, text: lines.join("\n") }));

it("finds blocks to run", () => {
  expect(blocks.map(({ place }) => place.replace(/:\d+$/, ""))).toContain("README.md");
});

it.each(blocks)("the block at $place runs to its end", async ({ place, text }) => {
  const script = join(folder, `${place.replaceAll(/[^a-z0-9]/gi, "-")}.mjs`);
  await writeFile(script, ts.transpile(text, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }));
  await using child = await startNode(script, { env: { DATABASE_URL: database.connectionString } });
  const { code } = await child.ended;
  const output: unknown = expect.any(Array); // shown when the code is not as expected
  expect({ code, output: [...child.lines, ...child.errorLines] }).toEqual({ code: 0, output });
});

const ofPages = (language: string) =>
  pages.filter((page) => snippetsOf(readProjectFile(page), language).some(({ words }) => words.length === 0));

it.each(ofPages("ts"))("the blocks of %s run one after another, and so do the jobs that they add", async (page) => {
  await expect(runPage(page, readProjectFile(page))).resolves.toBeUndefined();
});

it.each(ofPages("sql"))("the blocks of SQL in %s run one after another", async (page) => {
  await using own = await createDatabase();
  const session = await own.connect();
  for (const { fence, lines } of snippetsOf(readProjectFile(page), "sql")) {
    const failure = await session.query(lines.join("\n")).catch((error: unknown) => error);
    expect(failure, `${page}:${fence + 1}`).not.toBeInstanceOf(Error);
  }
});

it.each([
  [
    "a block that rejects",
    "```ts\nlet n = 1;\n```\n\n```ts\nawait Promise.reject(new Error('no'));\n```",
    "x.md:5: no",
  ],
  [
    "a job that fails, also one that is due later",
    [
      "```ts",
      'import { defineTask } from "howdah";',
      'const a = defineTask({ identifier: "a", run() { throw new Error("no"); } });',
      'await client.addJob(a, undefined, { runAt: "2099-01-01" });',
      "```",
    ].join("\n"),
    "x.md: a failed: no",
  ],
])("a page fails for %s", async (_, text, message) => {
  await expect(runPage("x.md", text)).rejects.toThrow(message);
});
