import { describe, expect, it } from "vitest";
import { CHECKS } from "../../src/client/doctor/diagnose.ts";
import { projectFiles, readProjectFile } from "./project-tree.ts";

const guide = readProjectFile("docs/guides/doctor.md");
const tests = ["doctor", "doctor-ground"]
  .map((name) => readProjectFile(`test/integration/client/${name}.test.ts`))
  .join();

describe("the checks of the doctor", () => {
  it("are listed in the guide, in their order", () => {
    const listed = [...guide.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, id]) => id);
    expect(listed).toEqual(CHECKS.map(({ id }) => id));
  });

  it.each(CHECKS)(
    "say of $id what it means, what to do, and where that is explained",
    ({ title, means, todo, guide: page }) => {
      for (const text of [means, todo]) expect(text).toMatch(/^[A-Zch][\x20-\x7e]+\.$/);
      expect(title).toMatch(/^[a-z][\x20-\x7e]+[a-z]$/);
      expect(projectFiles()).toContain(`docs/${page}`);
    },
  );

  it.each(CHECKS)("have a test of $id that finds something", ({ id, question }) => {
    expect(tests).toMatch(
      new RegExp(
        `assertFound\\("${id}"|only: \\["${id}"\\]|find\\("${id}"\\)|look\\("${id}"|judge\\((\\w+_CHECKS\\.)?${question},`,
      ),
    );
  });
});
