import { join } from "node:path";
import ts from "typescript";
import packageJson from "../../package.json" with { type: "json" };
import { ROOT } from "./project-tree.ts";

/** What the compiler says of one module. */
export interface Complaint {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/**
 * Compiles modules, given by path from the root, that exist in memory only. They import `howdah` and its subpaths as an
 * application does, and get the sources of this repository. `more` are
 * options of the compiler.
 */
export function compile(
  modules: ReadonlyMap<string, string>,
  more: ts.CompilerOptions = {},
): ReadonlyMap<string, readonly Complaint[]> {
  const options = { ...compilerOptions(), ...more };
  const inMemory = new Map([...modules].map(([path, text]) => [join(ROOT, path), text]));
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (file) => inMemory.get(file) ?? readFile(file);
  host.fileExists = (file) => inMemory.has(file) || fileExists(file);
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const text = inMemory.get(file);
    if (text === undefined) return getSourceFile(file, languageVersion, ...rest);
    return ts.createSourceFile(file, text, languageVersion);
  };
  const program = ts.createProgram([...inMemory.keys()], options, host);
  return new Map([...modules.keys()].map((path) => [path, complaintsOf(program, join(ROOT, path))]));
}

function complaintsOf(program: ts.Program, file: string): Complaint[] {
  const source = program.getSourceFile(file);
  if (!source) throw new Error(`${file} is not part of the program.`);
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((found) => ({
    line: source.getLineAndCharacterOfPosition(found.start ?? 0).line + 1,
    message: ts.flattenDiagnosticMessageText(found.messageText, "\n"),
  }));
}

/** Those of the repository, but for what a reader's own project need not ask for. */
function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (file) => ts.sys.readFile(file));
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
  const lenient = { noUnusedLocals: false, noUnusedParameters: false, noImplicitReturns: false };
  return { ...options, ...lenient, types: ["node"], paths: subpaths() };
}

/** Where the source of each subpath of the package lies. */
export function subpaths(): Record<string, string[]> {
  const entries = Object.entries(packageJson.exports).flatMap(([subpath, target]) => {
    if (typeof target === "string") return [];
    const source = target.default.replace("./dist/", "./src/").replace(/\.js$/, ".ts");
    return [[`howdah${subpath.slice(1)}`, [join(ROOT, source)]] as [string, string[]]];
  });
  return Object.fromEntries(entries);
}
