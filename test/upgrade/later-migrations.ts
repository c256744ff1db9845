import type { Migration } from "../../src/postgres/migration.ts";
import { migrations } from "../../src/postgres/migrations.generated.ts";
import { objectsOf } from "../../src/postgres/schema-objects.ts";

/**
 * What releases after this one may do to the schema: one migration of each kind. None of them changes what a function
 * of this release is asked or answers.
 */
export function laterMigrations(): Migration[] {
  const bodies = [COLUMNS, INDEX, successors(), replacements()];
  const next = (migrations.at(-1)?.id ?? 0) + 1;
  return bodies.map((sql, index) => ({ id: next + index, name: `later-${index + 1}`, sql }));
}

const COLUMNS = `
alter table :"schema"._private_jobs add column _howdah_later text;
alter table :"schema"._private_job_queues add column _howdah_later text;
alter table :"schema"._private_workers add column _howdah_later text;`;

const INDEX = `
create index _howdah_later on :"schema"._private_jobs (_howdah_later) where _howdah_later is not null;`;

/** The statements that create Howdah's own functions with a version in their name, by name. */
function versionedFunctions(): [name: string, statement: string][] {
  return [...objectsOf(migrations).functions].flatMap(([key, { statement, body }]) => {
    const [, name] = /^function (_howdah_\w+_v\d+)\(/.exec(key) ?? [];
    return name === undefined || body === undefined ? [] : [[name, `${statement};`]];
  });
}

/** A later version of each function beside the one that is there. */
function successors(): string {
  return versionedFunctions()
    .map(([name, statement]) =>
      statement.replaceAll(
        name,
        name.replace(/\d+$/, (version) => `9${version}`),
      ),
    )
    .join("\n");
}

/** Each function replaced by one that does the same, so that no session's plan is what it was. */
function replacements(): string {
  return versionedFunctions()
    .map(([, statement]) =>
      statement.replace(/^create function/, "create or replace function").replace("$$\n", "$$$$\n-- Later.\n"),
    )
    .join("\n");
}
