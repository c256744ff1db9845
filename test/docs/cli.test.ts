import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands.ts";
import { createProgram } from "../../src/cli/program.ts";
import { createScreen } from "../../src/cli/screen.ts";
import { migrations } from "../../src/postgres/migrations.generated.ts";
import { readProjectFile } from "./project-tree.ts";

const reference = readProjectFile("docs/reference/cli.md");
const sections = new Map(reference.split(/^## /m).map((text) => [text.slice(0, text.indexOf("\n")), text]));
const nameOf = (usage: string): string => usage.split(" ")[0] ?? "";
/** The options that the tables of a section list. */
function flagsIn(section = ""): string[] {
  return [...section.matchAll(/^\| `(--[^`]+)`/gm)].map(([, flags = ""]) => flags);
}

describe("docs/reference/cli.md", () => {
  it("shows the revision that migrating comes to", () => {
    const latest = migrations.at(-1)?.id;
    const applied = `"revision": ${latest}, "applied": [${migrations.map(({ id }) => id).join(", ")}] }`;
    expect(reference.replace(/\s+/g, " ")).toContain(applied);
  });

  it("has a section for each command and for no other", () => {
    const commands = [...sections.keys()].filter((title) => title.startsWith("howdah "));
    expect(commands.sort()).toEqual(COMMANDS.map(({ usage }) => `howdah ${nameOf(usage)}`).sort());
  });

  it.each(COMMANDS.map((command) => [nameOf(command.usage), command] as const))(
    "names the options of %s",
    (name, { options = [] }) => {
      const section = sections.get(`howdah ${name}`) ?? "";
      const shared = section.includes("(#changing-jobs)") ? flagsIn(sections.get("Changing jobs")) : [];
      const listed = [...shared, ...flagsIn(section)];
      expect(listed.sort()).toEqual(options.map(({ flags }) => flags).sort());
    },
  );

  it("names the options of every command", () => {
    const { options } = createProgram(createScreen(process));
    const listed = [...(sections.get("Options of every command") ?? "").matchAll(/^\| `(--[a-z-]+)/gm)];
    const known = options.map(({ long }) => long ?? "");
    expect(listed.map(([, flag = ""]) => flag).sort()).toEqual([...known, "--help"].sort());
  });
});
