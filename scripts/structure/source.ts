import { readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import ts from "typescript";

/** Files that are made by a script are read by no one. */
const GENERATED = /\.generated\.ts$/;
const TEST = /\.test\.ts$/;

/** What the compiler knows of the sources of the library. */
export interface Sources {
  /** The folder of the project. */
  readonly root: string;
  readonly files: readonly ts.SourceFile[];
  readonly checker: ts.TypeChecker;
}

/** A name and how long what bears it is, in lines. */
export interface Length {
  readonly name: string;
  readonly lines: number;
}

/** Reads the sources of the project in this folder, without tests and what is generated. */
export function readSources(root: string): Sources {
  const config = ts.readConfigFile(join(root, "tsconfig.build.json"), ts.sys.readFile).config;
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(fileNames, { ...options, noEmit: true });
  const files = program
    .getSourceFiles()
    .filter(({ fileName }) => fileName.startsWith(join(root, "src/")))
    .filter(({ fileName }) => !GENERATED.test(fileName) && !TEST.test(fileName));
  return { root, checker: program.getTypeChecker(), files };
}

/** Lines as an editor counts them. */
function linesOf(text: string): number {
  return text.replace(/\n$/, "").split("\n").length;
}

/** The lengths of all files, in lines. */
export function fileLengths({ files, root }: Pick<Sources, "files" | "root">): Length[] {
  return files.map(({ fileName, text }) => ({ name: relative(root, fileName), lines: linesOf(text) }));
}

/** The lengths of all functions that have a body, in lines. */
export function functionLengths({ files, root }: Pick<Sources, "files" | "root">): Length[] {
  const found: Length[] = [];
  for (const file of files) {
    const lineOf = (at: number): number => file.getLineAndCharacterOfPosition(at).line;
    forEachNode([file], (node) => {
      if (!ts.isFunctionLike(node) || !("body" in node) || !node.body) return;
      const from = lineOf(node.getStart(file));
      const name = `${relative(root, file.fileName)}:${from + 1} ${node.name?.getText(file) ?? ""}`.trim();
      found.push({ name, lines: lineOf(node.end) - from + 1 });
    });
  }
  return found;
}

/** The bodies of the functions and of the named fragments of the migrations, in lines of their source. */
export function sqlLengths({ root }: Pick<Sources, "root">): Length[] {
  const folder = join(root, "src/postgres/migrations");
  const found: Length[] = [];
  for (const name of readdirSync(folder, { recursive: true }).map(String)) {
    if (!name.endsWith(".sql")) continue;
    const text = readFileSync(join(folder, name), "utf8");
    for (const piece of text.matchAll(/^create (?:(?:or replace )?function [^.]+\.|fragment )(\w+)[^]*?^\$\$;?$/gm)) {
      const body = /\$\$\n([^]*?)^\$\$/m.exec(piece[0]);
      if (body) found.push({ name: `${name} ${piece[1]}`, lines: linesOf(body[1] ?? "") });
    }
  }
  return found;
}

/**
 * The members that are functions, of all object types that a call or a `new` in
 * the sources is given as an object literal: parameters with names, and callbacks
 * among them, whatever the type is called. Each member counts once.
 */
export function callbackMembers({ files, checker, root }: Sources): string[] {
  const isOurs = (declaration: ts.Declaration): boolean =>
    files.includes(declaration.getSourceFile()) && !isGivenByApplications(declaration);
  const members = new Map<ts.Declaration, string>();
  const note = (type: ts.Type): void => {
    if (type.isUnionOrIntersection()) for (const part of type.types) note(part);
    for (const member of checker.getNonNullableType(type).getProperties()) {
      const [declaration] = member.declarations ?? [];
      if (declaration && isOurs(declaration) && isFunction(checker.getTypeOfSymbol(member), checker)) {
        const owner = ts.isInterfaceDeclaration(declaration.parent) ? declaration.parent.name.text : "";
        members.set(declaration, `${relative(root, declaration.getSourceFile().fileName)} ${owner}.${member.name}`);
      }
    }
  };
  forEachNode(files, (node) => {
    if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return;
    const parameters = checker.getResolvedSignature(node)?.declaration?.parameters ?? [];
    for (const [index, argument] of (node.arguments ?? []).entries()) {
      const parameter = parameters[index];
      const type = parameter && ts.isParameter(parameter) ? parameter.type : undefined;
      // What the type of a parameter leaves open, as that of Object.assign does, is no parameter object.
      if (ts.isObjectLiteralExpression(argument) && type) note(checker.getTypeFromTypeNode(type));
    }
  });
  return [...members.values()].sort();
}

function isFunction(type: ts.Type, checker: ts.TypeChecker): boolean {
  const given = checker.getNonNullableType(type);
  return (given.isUnion() ? given.types : [given]).some((part) => part.getCallSignatures().length > 0);
}

function forEachNode(nodes: readonly ts.Node[], visit: (node: ts.Node) => void): void {
  for (const node of nodes) {
    visit(node);
    ts.forEachChild(node, (child) => forEachNode([child], visit));
  }
}

/** Handlers, hooks and schemas come from outside: they are no distance within the library. */
function isGivenByApplications(node: ts.Node): boolean {
  return /\/src\/(hooks|testing)\//.test(node.getSourceFile().fileName);
}

/** Files of which the first comment is about the export that the file is named after. */
export function firstComments({ files, root }: Pick<Sources, "files" | "root">): { name: string; isMain: boolean }[] {
  return files.flatMap((file) => {
    const exported = exportsOf(file);
    if (exported.length === 0) return [];
    const named = exported.find(({ name }) => plain(name) === plain(basename(file.fileName, ".ts"))) ?? exported[0];
    const first = /\/\*\*/.exec(file.text);
    const [comment] = named ? ts.getJSDocCommentsAndTags(named.node) : [];
    const isFirst = first !== null && comment !== undefined && comment.getStart(file) === first.index;
    const isHeader =
      first !== null && first.index === 0 && !exported.some(({ node }) => node.getFullStart() === 0 && node !== file);
    return [{ name: relative(root, file.fileName), isMain: isFirst || isHeader }];
  });
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

/** What a file declares and exports. */
function exportsOf(file: ts.SourceFile): { readonly name: string; readonly node: ts.Node }[] {
  return file.statements.flatMap((node) => {
    const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
    if (ts.isVariableStatement(node)) {
      return node.declarationList.declarations.map(({ name }) => ({ name: name.getText(file), node }));
    }
    const name = ts.getNameOfDeclaration(node as ts.DeclarationStatement);
    return name ? [{ name: name.getText(file), node }] : [];
  });
}

/** Files of fewer than 30 lines that one other file imports. */
export function smallWithOneImporter({ files, root }: Pick<Sources, "files" | "root">): Length[] {
  const importers = new Map<string, Set<string>>();
  for (const file of files) {
    for (const statement of file.statements) {
      const from = ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement);
      const specifier = from ? statement.moduleSpecifier : undefined;
      if (!specifier || !ts.isStringLiteral(specifier) || !specifier.text.startsWith(".")) continue;
      const path = join(file.fileName, "..", specifier.text);
      importers.set(path, (importers.get(path) ?? new Set()).add(file.fileName));
    }
  }
  return fileLengths({ files, root }).filter(
    ({ name, lines }) => lines < 30 && importers.get(join(root, name))?.size === 1,
  );
}

/** Names that two files export, so that a search for one finds the other. */
export function namesExportedTwice({ files, root }: Pick<Sources, "files" | "root">): string[] {
  const places = new Map<string, string[]>();
  for (const file of files) {
    for (const name of new Set(exportsOf(file).map(({ name }) => name))) {
      places.set(name, [...(places.get(name) ?? []), relative(root, file.fileName)]);
    }
  }
  return [...places].filter(([, where]) => where.length > 1).map(([name, where]) => `${name}: ${where.join(", ")}`);
}
