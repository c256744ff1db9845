import { posix } from "node:path";
import { projectFiles, readProjectFile } from "./project-tree.ts";

/** A test that a page names. */
export interface NamedTest {
  readonly file: string;
  /** `describe › it`, each as it is written in the file. */
  readonly title: string;
}

/** The tests that a page in `test/` names: a link to the file, followed by the title in quotes. */
export function testsNamedIn(markdown: string): NamedTest[] {
  return [...markdown.matchAll(/\]\(([^)]+)\) "([^"]+)"/g)].map(([, link = "", title = ""]) => ({
    file: posix.join("test", link),
    title,
  }));
}

/** Those of them that are not there. */
export function missing(tests: readonly NamedTest[]): NamedTest[] {
  const files = new Set(projectFiles());
  return tests.filter(({ file, title }) => !files.has(file) || !hasTest(file, title));
}

/** Titles may end with the numbers of a catalogue, which are not named. */
function hasTest(file: string, title: string): boolean {
  const source = readProjectFile(file).replaceAll(/ \((?:behaviours [^)]*|S\d+)\)/g, "");
  return title.split(" › ").every((part) => source.includes(`"${part}"`) || source.includes(`\`${part}\``));
}
