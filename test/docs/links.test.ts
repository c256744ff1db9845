import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsOf, linksOf } from "./markdown.ts";
import { projectFiles, readProjectFile, ROOT } from "./project-tree.ts";

const documents = projectFiles().filter((file) => file.endsWith(".md") && !file.startsWith("api/"));

/** Why a relative link of `document` leads nowhere, or `undefined` when it leads somewhere. */
function brokenLink(document: string, link: string): string | undefined {
  const [path = "", anchor] = link.split("#", 2).map(decodeURIComponent);
  const target = path === "" ? document : normalize(join(dirname(document), path));
  if (target.startsWith("..")) return `${link}: outside of the repository`;
  if (!existsSync(join(ROOT, target))) return `${link}: no such file`;
  if (anchor === undefined || !target.endsWith(".md")) return undefined;
  return anchorsOf(readProjectFile(target)).includes(anchor) ? undefined : `${link}: no such heading`;
}

describe("every relative link leads to a file and a heading", () => {
  it.each(documents)("%s", (document) => {
    const broken = linksOf(readProjectFile(document)).map((link) => brokenLink(document, link));
    expect(broken.filter((reason) => reason !== undefined)).toEqual([]);
  });
});
