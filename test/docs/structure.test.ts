import { expect, it } from "vitest";
import { OF_RUNS, OF_SOURCES } from "../../scripts/structure/measures.ts";
import { readSources } from "../../scripts/structure/source.ts";
import { readProjectFile, ROOT } from "./project-tree.ts";

it("keeps the sources within the limits that ARCHITECTURE.md shows", () => {
  const sources = readSources(ROOT);
  const beyond = OF_SOURCES.filter(({ value, most }) => value(sources) > most);
  expect(beyond.map(({ what, most, value }) => `${what}: ${value(sources)}, at most ${most}`)).toEqual([]);
});

it("shows each measure with its limit in ARCHITECTURE.md", () => {
  const rows = [...readProjectFile("ARCHITECTURE.md").matchAll(/^\| (.+?) +\| +\d+(?: lines)? +\| +(\d+) \|$/gm)];
  const shown = rows.map(([, what, most]) => [what, Number(most)]);
  expect(shown).toEqual([...OF_SOURCES, ...OF_RUNS].map(({ what, most }) => [what, most]));
});
