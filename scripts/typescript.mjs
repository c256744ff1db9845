/**
 * Lets Node.js 20 run the TypeScript of this project: `node --import ./scripts/typescript.mjs test/chaos/main.ts`.
 * Types are taken away file by file, which is all that its sources need; whether they are right is not asked.
 */
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import ts from "typescript";

// Node.js loads this file a second time, in the thread in which hooks run.
if (isMainThread) {
  await import("./generate-migrations.mjs");
  register(import.meta.url);
}

const OPTIONS = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
  inlineSourceMap: true,
};

export async function load(url, context, nextLoad) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return nextLoad(url, context);
  const source = await readFile(fileURLToPath(url), "utf8");
  const { outputText } = ts.transpileModule(source, { compilerOptions: OPTIONS, fileName: url });
  return { format: "module", source: outputText, shortCircuit: true };
}
