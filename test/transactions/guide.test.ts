import { expect, it } from "vitest";
import { compile } from "../docs/compile.ts";
import { readProjectFile } from "../docs/project-tree.ts";
import { moduleOf, ORM_GUIDE } from "../docs/snippets.ts";

it("every block of TypeScript in the guide on ORMs compiles against the real libraries", () => {
  // Beside the libraries, so that it finds them.
  const path = "test/transactions/guide.md.ts";
  const complaints = compile(new Map([[path, moduleOf(readProjectFile(ORM_GUIDE))]])).get(path) ?? [];
  expect(complaints.map(({ line, message }) => `${ORM_GUIDE}:${line} ${message}`)).toEqual([]);
}, 60_000);
