import { expect, it } from "vitest";
import { compile } from "../docs/compile.ts";
import { readProjectFile } from "../docs/project-tree.ts";
import { moduleOf } from "../docs/snippets.ts";
import { MOUNTS_PAGE } from "../harness/admin-mount.ts";
import { PAGE } from "./page.ts";

/** As a project of Nest has them. */
const NEST = { experimentalDecorators: true, emitDecoratorMetadata: true, erasableSyntaxOnly: false };

it.each([PAGE, MOUNTS_PAGE])(
  "every block of TypeScript in %s compiles against the real frameworks",
  (page) => {
    const path = "test/stack/page.md.ts";
    const complaints = compile(new Map([[path, moduleOf(readProjectFile(page))]]), NEST).get(path) ?? [];
    expect(complaints.map(({ line, message }) => `${page}:${line} ${message}`)).toEqual([]);
  },
  60_000,
);
