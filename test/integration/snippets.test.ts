import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, expect, it } from "vitest";
import { projectFiles, readProjectFile, ROOT } from "../docs/project-tree.ts";
import { snippetsOf } from "../docs/snippets.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";

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

const blocks = ["README.md", ...projectFiles("docs")]
  .filter((file) => file.endsWith(".md"))
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
