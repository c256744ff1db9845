import { expect, it } from "vitest";
import { EVENT_NAMES } from "../../src/hooks/events.ts";
import { INTERCEPTOR_NAMES } from "../../src/hooks/interceptors.ts";
import { readProjectFile } from "./project-tree.ts";

const guide = readProjectFile("docs/guides/hooks.md");

/** The names in the first column of a table, which begins with this heading. */
function listed(heading: string): string[] {
  const table = new RegExp(`^\\| ${heading} [\\s\\S]*?\\n\\n`, "m").exec(guide)?.[0] ?? "";
  const firstColumn = [...table.matchAll(/^\|([^|]*)\|/gm)].map(([, cell = ""]) => cell).join(" ");
  return [...firstColumn.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name).sort();
}

/** The properties that a table gives an event, and those that its type has. */
function propertiesOf(name: string): { readonly told: string[]; readonly typed: string[] } {
  const row = new RegExp(`^\\| \`${name}\` .*$`, "m").exec(guide)?.[0] ?? "";
  const told = [...(row.split("|")[3] ?? "").matchAll(/`(\w+)`/g)].map(([, property = ""]) => property);
  const type = new RegExp(`^  ${name}: \\{([^}]*)\\}`, "m").exec(readProjectFile("src/hooks/events.ts"))?.[1] ?? "";
  return { told: told.sort(), typed: [...type.matchAll(/(\w+)\??:/g)].map(([, property = ""]) => property).sort() };
}

it("lists every event, and no other, in the table of the guide", () => {
  expect(listed("event")).toEqual([...EVENT_NAMES].sort());
});

it.each(EVENT_NAMES)("says with what %s is told", (name) => {
  const { told, typed } = propertiesOf(name);
  expect(told).toEqual(typed);
  // Clients add jobs, too.
  expect(told.includes("workerId")).toBe(name !== "jobAdd");
});

it("lists every interceptor, and no other, in the table of the guide", () => {
  expect(listed("interceptor")).toEqual([...INTERCEPTOR_NAMES].sort());
});
