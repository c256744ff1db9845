import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { HELP } from "./help.tsx";

const DOCS = join(import.meta.dirname, "../../../docs");

it.each(Object.entries(HELP))("of %s names guides and headings that there are", (_, { guides }) => {
  for (const guide of guides) {
    const [file = "", heading] = guide.split("#");
    expect([guide, existsSync(join(DOCS, file))]).toEqual([guide, true]);
    if (heading === undefined) continue;
    const headings = readFileSync(join(DOCS, file), "utf8").matchAll(/^#+ (.*)$/gm);
    const anchors = [...headings].map(([, text = ""]) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w -]/g, "")
        .replaceAll(" ", "-"),
    );
    expect([guide, anchors.includes(heading)]).toEqual([guide, true]);
  }
});
