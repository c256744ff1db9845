import { expect, it } from "vitest";
import { ERROR_CODES } from "../../src/errors.ts";
import { readProjectFile } from "./project-tree.ts";

const sections = readProjectFile("docs/reference/errors.md").split(/^## /m).slice(1);
const titleOf = (section: string): string => section.slice(0, section.indexOf("\n"));

it("explains each error code exactly once", () => {
  expect(sections.map(titleOf).sort()).toEqual(Object.keys(ERROR_CODES).sort());
});

it("says of each error code what it means, what causes it and what to do", () => {
  const incomplete = sections.filter(
    (section) =>
      !/^\n\n.+\n\n\*\*Usual cause\.\*\* .+\n\n\*\*What to do\.\*\* .+/s.test(section.slice(titleOf(section).length)),
  );
  expect(incomplete.map(titleOf)).toEqual([]);
});
