import { expect, it } from "vitest";
import { compile } from "../docs/compile.ts";
import { readProjectFile } from "../docs/project-tree.ts";
import { moduleOf } from "../docs/snippets.ts";
import { PAGE } from "./page.ts";

/** As a project of Nest has them. */
const NEST = { experimentalDecorators: true, emitDecoratorMetadata: true, erasableSyntaxOnly: false };

it("every block of TypeScript in the page on frameworks compiles against the real ones", () => {
  const path = "test/stack/page.md.ts";
  const complaints = compile(new Map([[path, moduleOf(readProjectFile(PAGE))]]), NEST).get(path) ?? [];
  expect(complaints.map(({ line, message }) => `${PAGE}:${line} ${message}`)).toEqual([]);
}, 60_000);
