import ts from "typescript";

/** A fenced block of TypeScript in a document. */
export interface Snippet {
  /** The words after the language behind the fence; those of TypeScript are in {@link WORDS}. */
  readonly words: readonly string[];
  /** The line of the opening fence, from 0. */
  readonly fence: number;
  readonly lines: readonly string[];
}

/** What a block of TypeScript may say behind its fence. Without a word it is run as a part of its page. */
export const WORDS: Readonly<Record<string, string>> = {
  run: "a whole program, run in a process of its own",
  fragment: "only compiled, because it is a part of something that the page does not show",
  external: "only compiled, because it needs a service or a machine that the tests do not have",
  libraries: "only compiled, by test/transactions, because it imports libraries that are installed there",
};

/** Pages that import libraries which the package does not have, with the folder where those are installed: it compiles them. */
export const COMPILED_ELSEWHERE: Readonly<Record<string, string>> = {
  "docs/guides/connecting.md": "test/transactions",
  "docs/guides/with-your-orm.md": "test/transactions",
  "docs/guides/using-it-with.md": "test/stack",
  "docs/guides/admin.md": "test/stack",
};

/** Whether a block is compiled where its libraries are. */
export const needsLibraries = ({ words }: Snippet): boolean => words.includes("libraries");

/** The blocks of a document in a language, in order. */
export function snippetsOf(markdown: string, wanted = "ts"): Snippet[] {
  const snippets: Snippet[] = [];
  const lines = markdown.split("\n");
  for (let fence = 0; fence < lines.length; fence++) {
    const [, marks, info] = /^(```+)(.*)$/.exec(lines[fence] ?? "") ?? [];
    if (marks === undefined || info === undefined) continue;
    const end = lines.indexOf(marks, fence + 1);
    if (end === -1) throw new Error(`The block that begins in line ${fence + 1} has no end.`);
    const [language, ...words] = info.trim().split(/\s+/);
    if (language === wanted) snippets.push({ words, fence, lines: lines.slice(fence + 1, end) });
    fence = end;
  }
  return snippets;
}

/** How {@link moduleOf} makes a module. */
export interface ModuleOptions {
  /** What every block may use undeclared. */
  readonly prelude?: string;
  /** Which blocks; default all. */
  readonly only?: (snippet: Snippet) => boolean;
  /** What is done before a block. */
  readonly before?: (snippet: Snippet) => string;
}

/**
 * The blocks of a document as one module, line by line where they are in the document. Each block sees what the ones
 * before it declared and may declare it again, as a reader expects.
 */
export function moduleOf(markdown: string, options: ModuleOptions = {}): string {
  const { prelude = "", only = () => true, before = () => "" } = options;
  const snippets = snippetsOf(markdown).filter(only);
  const module: string[] = markdown.split("\n").map(() => "");
  const imports = new Set<string>();
  for (const snippet of snippets) {
    const { fence, lines } = snippet;
    module[fence] = `{ ${before(snippet)}`;
    for (const [index, line] of asStatements(lines, imports).entries()) module[fence + 1 + index] = line;
  }
  // Before the first line, so that a line of the module is the line of the document.
  module[0] = `${[...imports].join(" ")} export {}; ${prelude} ${module[0]}`;
  return module.join("\n") + "}".repeat(snippets.length);
}

/** A block without what only a module may have: imports, which go to `imports`, and `export`. Its lines stay where they are. */
function asStatements(lines: readonly string[], imports: Set<string>): string[] {
  const text = lines.join("\n");
  const source = ts.createSourceFile("snippet.ts", text, ts.ScriptTarget.Latest);
  let rest = text;
  for (const statement of source.statements) {
    const declared = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    const exported = declared.filter(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (ts.isImportDeclaration(statement)) for (const one of singleImports(statement, source)) imports.add(one);
    for (const node of ts.isImportDeclaration(statement) ? [statement] : exported) {
      const [start, end] = [node.getStart(source), node.getEnd()];
      rest = rest.slice(0, start) + rest.slice(start, end).replaceAll(/[^\n]/g, " ") + rest.slice(end);
    }
  }
  return rest.split("\n");
}

/** One import declaration for each name, so that two blocks may import the same. */
function singleImports(declaration: ts.ImportDeclaration, source: ts.SourceFile): string[] {
  const from = declaration.moduleSpecifier.getText(source);
  const clause = declaration.importClause;
  if (!clause) return [`import ${from};`];
  const type = clause.phaseModifier === ts.SyntaxKind.TypeKeyword ? "type " : "";
  const bindings = clause.namedBindings;
  const names = [
    ...(clause.name ? [clause.name.text] : []),
    ...(bindings && ts.isNamespaceImport(bindings) ? [bindings.getText(source)] : []),
    ...(bindings && ts.isNamedImports(bindings)
      ? bindings.elements.map((element) => `{ ${element.getText(source)} }`)
      : []),
  ];
  return names.map((name) => `import ${type}${name} from ${from};`);
}
