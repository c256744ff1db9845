import ts from "typescript";
import { expect, it } from "vitest";
import { projectFiles, readProjectFile } from "./project-tree.ts";

/** What is drawn on a screen and becomes part of no error. */
const DRAWN: Readonly<Record<string, string>> = {
  "src/cli/demo/progress.ts": "·",
  "src/cli/commands/migrate.ts": "✓",
};

const isSource = (path: string): boolean => /(?<!\.test)\.ts$/.test(path);

const FOREIGN = /[^\0-\x7F]/gu;

/** The texts that a module may put into messages: its string literals, and the parts of its templates. */
function literalsOf(path: string, text: string): string[] {
  const literals: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      literals.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest));
  return literals;
}

it("writes no text that a database with a small encoding could not store as an error", () => {
  const paths = projectFiles("src").filter((path) => isSource(path));
  expect(paths.length).toBeGreaterThan(100);
  const found = paths.flatMap((path) => {
    const text = readProjectFile(path);
    // Comments are in any alphabet; few modules are parsed.
    if (text.search(FOREIGN) < 0) return [];
    const literals = literalsOf(path, text);
    return literals
      .filter((literal) => (literal.match(FOREIGN) ?? []).some((character) => character !== DRAWN[path]))
      .map((literal) => `${path}: ${literal}`);
  });
  expect(found).toEqual([]);
});

it("finds such a text in a literal and in each part of a template, not in a comment", () => {
  const text = "/* … */ const a = '1…'; const b = `2…${a}3…${a}4…`; const c = `5…`;";
  expect(literalsOf("example.ts", text)).toEqual(["1…", "2…", "3…", "4…", "5…"]);
});
