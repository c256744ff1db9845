import { describe, expect, it } from "vitest";

/** What the script exports. It is no TypeScript. */
interface Module {
  breaksBeforeOf(sql: string, file: string, id: number): number;
}

const { breaksBeforeOf } = (await import(new URL("migrations.mjs", import.meta.url).href)) as Module;

describe("a migration", () => {
  it("breaks no release unless it says so", () => {
    expect(breaksBeforeOf("-- Nothing breaks releases.\nselect 1;", "000012-later.sql", 12)).toBe(0);
  });

  it("names the revision that a release has to know", () => {
    expect(breaksBeforeOf("-- Drops _howdah_claim_v1.\n-- Breaks releases before revision 10.\n", "f.sql", 12)).toBe(
      10,
    );
  });

  it("cannot ask for a revision after its own", () => {
    expect(() => breaksBeforeOf("-- Breaks releases before revision 13.", "000012-later.sql", 12)).toThrow(
      "000012-later.sql: breaks releases before revision 13, which is later than its own",
    );
  });
});
