import { beforeAll, describe, expect, it } from "vitest";
import { projectFiles, readProjectFile } from "./project-tree.ts";

const MIGRATIONS = "src/postgres/migrations";
const PIECES = "fragments/endings.sql";

let inside: string;
let outside: string;

beforeAll(async () => {
  [inside, outside] = await expandApart();
});

describe("a job ends", () => {
  it(`by the statements of ${PIECES}: no other removes rows of jobs`, () => {
    expect(removals(inside)).toHaveLength(DELETED_BY);
    expect(removals(outside)).toEqual([]);
  });

  it(`by the statements of ${PIECES}: no other unlocks jobs, or takes their attempts away`, () => {
    expect(changes(inside)).toEqual(expect.arrayContaining(["locked_at = null", "locked_by = null"]));
    expect(changes(outside)).toEqual([
      "attempts = 0", // A keyed add changes a job that waits, which then has every attempt.
      "attempts = attempts + 1", // A claim, under a lock.
      'locked_at = :"schema"._howdah_at(renewed)',
      "locked_at = claimed_at",
      "locked_at = now()",
      "locked_by = worker",
      "max_attempts = excluded.max_attempts",
    ]);
  });

  it("in SQL functions: no statement in TypeScript changes or removes jobs", () => {
    const sources = projectFiles("src").filter((file) => file.endsWith(".ts") && !file.endsWith(".generated.ts"));
    expect(sources.length).toBeGreaterThan(100);
    const writing = /(?:delete\s+from|update|truncate|merge\s+into)\s+\$\{[^}]*"_private_jobs"/i;
    expect(sources.filter((file) => writing.test(readProjectFile(file)))).toEqual([]);
  });
});

/**
 * Both releases, complete, cancel_jobs, remove_job, complete_jobs, clean-up, the two releases that only count; the second
 * text of cancel_jobs and remove_job; the three releases of jobs that are kept; the second text of complete, complete_jobs
 * and clean-up; remove_jobs; erase.
 */
const DELETED_BY = 19;

/** What stands in the statements of the pieces in all migrations, and what stands around them. */
async function expandApart(): Promise<[inside: string, outside: string]> {
  const url = new URL("../../scripts/sql-fragments.mjs", import.meta.url).href;
  const { readFragments, expandFragments } = (await import(url)) as FragmentModule;
  const fragments = readFragments(sqlFiles(`${MIGRATIONS}/fragments`));
  for (const [name, fragment] of fragments) {
    const isStatement = fragment.file === "endings.sql" && /\b(?:delete from|update) :"schema"/.test(fragment.body);
    if (isStatement) fragments.set(name, { ...fragment, body: `«${fragment.body}»` });
  }
  const text = expandFragments(sqlFiles(MIGRATIONS), fragments).join("\n");
  return [[...text.matchAll(/«[^»]*»/g)].join("\n"), text.replaceAll(/«[^»]*»/g, "")];
}

interface FragmentModule {
  readFragments(files: readonly SqlFile[]): Map<string, { readonly file: string; readonly body: string }>;
  expandFragments(files: readonly SqlFile[], fragments: ReadonlyMap<string, unknown>): string[];
}

interface SqlFile {
  readonly file: string;
  readonly text: string;
}

/** The files in this folder, not below it. */
function sqlFiles(folder: string): SqlFile[] {
  const paths = projectFiles(folder).filter(
    (path) => path.endsWith(".sql") && !path.slice(folder.length + 1).includes("/"),
  );
  return paths.sort().map((path) => ({ file: path.slice(folder.length + 1), text: readProjectFile(path) }));
}

function removals(sql: string): string[] {
  return sql.match(/(?:delete\s+from|truncate|merge\s+into)\s+(?:only\s+|table\s+)*:"schema"\._private_jobs\b/gi) ?? [];
}

/** What is written into the columns that say whether a job is locked and has attempts left. */
function changes(sql: string): string[] {
  const updates = sql.matchAll(
    /(?:update\s+:"schema"\._private_jobs\b[^;]*?|insert into :"schema"\._private_jobs\b[^;]*?do update\s+)\bset\s([^;]*?)(?:\b(?:where|from|returning)\b|;)/gi,
  );
  const found = [...updates].flatMap(([, list = ""]) =>
    [...list.matchAll(/\b(?:attempts|max_attempts|locked_at|locked_by) = [^,\n]+/g)].map(([text]) => text),
  );
  return [...new Set(found.map((text) => text.trim().replace(/\bjobs?\./, "")))].sort();
}
