import { readProjectFile } from "../docs/project-tree.ts";
import { snippetsOf } from "../docs/snippets.ts";

/** The first block of the README that is a whole program. */
export function firstProgram(): string {
  const program = snippetsOf(readProjectFile("README.md")).find(({ words }) => words.includes("run"));
  if (!program) throw new Error("README.md has no block of TypeScript that is run as a program.");
  return `${program.lines.join("\n")}\n`;
}
