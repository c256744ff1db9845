import { expect, it } from "vitest";
import { projectFiles, readProjectFile } from "./project-tree.ts";

it("src/postgres alone knows rows by their places; index.ts exports the type for drivers", () => {
  const sources = projectFiles("src").filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  const importing = sources.filter((file) =>
    /^(?:im|ex)port [^;]*\bRow\b[^;]*driver\.ts";/m.test(readProjectFile(file)),
  );
  expect(importing.filter((file) => !file.startsWith("src/postgres/"))).toEqual(["src/index.ts"]);
  expect(importing.length).toBeGreaterThan(1);
});
