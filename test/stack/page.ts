import { readProjectFile } from "../docs/project-tree.ts";
import { snippetsOf } from "../docs/snippets.ts";

export const PAGE = "docs/guides/using-it-with.md";

/** The first block of the page that holds a text. */
export function blockWith(text: string): string {
  const found = snippetsOf(readProjectFile(PAGE)).find(({ lines }) => lines.some((line) => line.includes(text)));
  if (!found) throw new Error(`No block of ${PAGE} holds ${text}.`);
  return found.lines.join("\n");
}

/** The text that a bundle which is an ES module begins with, as the page shows it. */
export function esmBanner(): string {
  return /--banner:js='([^']+)'/.exec(readProjectFile(PAGE))?.[1] ?? "the page shows no banner";
}
