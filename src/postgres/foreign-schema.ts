import { HowdahError } from "../errors.ts";
import type { Schema } from "./schema.ts";

/** The error for a schema that holds another application's objects under names of ours. */
export function foreignSchema(schema: Schema, taken: readonly string[]): HowdahError {
  const isJobQueue = taken.includes(SHARED_LEDGER.table) && taken.some((name) => /^(_private_)?jobs$/.test(name));
  const found = isJobQueue
    ? "the tables of another job queue (graphile_worker), which have to be adopted before Howdah uses them"
    : `${taken.join(", ")}, which Howdah did not make and whose name it needs`;
  const way = isJobQueue ? "Run `howdah migrate --adopt` to use it beside graphile-worker, or choose" : "Choose";
  return new HowdahError(
    "HOWDAH_SCHEMA_FOREIGN",
    `Schema ${schema.quoted} holds ${found}. ${way} another schema with the option \`schema\` or with HOWDAH_SCHEMA.`,
  );
}

/** The error for a schema that was begun to be adopted. */
export function unfinishedAdoption(schema: Schema): HowdahError {
  return new HowdahError(
    "HOWDAH_SCHEMA_FOREIGN",
    `Schema ${schema.quoted} holds the tables of another job queue (graphile_worker), and adopting them was begun and ` +
      "not finished. Run `howdah migrate --adopt` again to go on, or `howdah migrate --release` to take it back.",
  );
}

/** The error for a name that the database cannot hold. */
export function unstorableName(schema: Schema, error: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `The encoding of the database cannot hold the name of schema ${schema.quoted}. Choose another name.`,
    error,
  );
}

/** The error for a migration of another job queue that is marked as breaking and not known here. */
export function unknownBreaking(schema: Schema, id: number): HowdahError {
  return new HowdahError(
    "HOWDAH_SCHEMA_TOO_NEW",
    `Another job queue has applied its migration ${id} to schema ${schema.quoted} and marked it as breaking, ` +
      `this release knows those up to ${SHARED_LEDGER.latest}. Upgrade this one, or use a schema that is not shared.`,
  );
}

/** The table in which other implementations note theirs; it says that theirs up to this one are in place. */
export const SHARED_LEDGER = { table: "migrations", latest: 20 } as const;
