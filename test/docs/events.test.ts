import { expect, it } from "vitest";
import { EVENT_NAMES } from "../../src/hooks/events.ts";
import { readProjectFile } from "./project-tree.ts";

it("lists every event, and no other, in the table of the guide", () => {
  const guide = readProjectFile("docs/guides/errors-and-logging.md");
  const table = /^\| event [\s\S]*?\n\n/m.exec(guide)?.[0] ?? "";
  const firstColumn = [...table.matchAll(/^\|([^|]*)\|/gm)].map(([, cell = ""]) => cell).join(" ");
  const listed = [...firstColumn.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
  expect(listed.sort()).toEqual([...EVENT_NAMES].sort());
});
