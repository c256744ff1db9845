import { cp, mkdir, symlink } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../docs/project-tree.ts";
import { createDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";

const EXAMPLE = "13-orms.mjs";

it("the example with three libraries confirms what was paid for, and nothing else", async () => {
  // Beside the libraries, so that it finds them, and Howdah as it was built.
  const libraries = join(import.meta.dirname, "node_modules");
  if (!existsSync(join(libraries, "howdah"))) await symlink(ROOT, join(libraries, "howdah"), "dir");
  await mkdir(join(libraries, ".cache"), { recursive: true });
  const file = join(libraries, ".cache", EXAMPLE);
  await cp(join(ROOT, "examples", EXAMPLE), file);

  await using database = await createDatabase({ migrate: false });
  const env = { DATABASE_URL: database.connectionString, HOWDAH_LOG: "error" };
  await using child = await startNode(file, { env });
  const { code } = await child.ended;
  const errors: unknown = expect.any(Array); // shown when the rest is not as expected
  expect({ code, lines: child.lines, errors: child.errorLines }).toEqual({
    code: 0,
    lines: [
      ...Array.from({ length: 3 }, () => "rolled back: 100 saddles were not paid for"),
      "confirmed: a saddle, with Kysely",
      "confirmed: a saddle, with Drizzle",
      "confirmed: a saddle, with TypeORM",
      "3 jobs completed",
    ],
    errors,
  });
});
