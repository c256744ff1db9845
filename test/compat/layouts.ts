import { adoptSchema } from "../../src/postgres/layout/adopt-schema.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { until } from "../harness/until.ts";
import { loadRelease, RELEASE, type GraphileWorker, type Release, type TheirOptions } from "./graphile-worker.ts";

/**
 * Who made the schema. `owned` is one that Howdah has installed; `theirs` is
 * one that graphile-worker has installed, where the same tests say what they
 * would say without Howdah; `shared` is such a one that Howdah has adopted.
 */
export const LAYOUTS = ["owned", "theirs", "shared"] as const;

/** One of {@link LAYOUTS}. */
export type Layout = (typeof LAYOUTS)[number];

/** The name of the schema in every layout, so that one statement fits all of them. */
export const SCHEMA = "howdah";

/** What the sessions of graphile-worker in this process are called. */
const SESSIONS = "graphile-worker";
const CONNECTED = `select from pg_stat_activity where datname = current_database() and application_name = '${SESSIONS}'`;

/** A database with a schema, and graphile-worker to work in it. */
export interface Place extends AsyncDisposable {
  readonly layout: Layout;
  readonly database: TestDatabase;
  readonly theirs: GraphileWorker;
  /** Where everything of graphile-worker connects, without a word in the log. */
  readonly options: TheirOptions;
  sql: TestDatabase["sql"];
}

/** Makes a database in this layout. */
export async function createPlace(layout: Layout, release: Release = RELEASE): Promise<Place> {
  const theirs = await loadRelease(release);
  const database = await createDatabase({ migrate: layout === "owned" });
  const address = new URL(database.connectionString);
  address.searchParams.set("application_name", SESSIONS);
  const options = {
    connectionString: address.href,
    schema: SCHEMA,
    logger: new theirs.Logger(() => () => {}),
    noHandleSignals: true,
  };
  if (layout !== "owned") await theirs.runMigrations(options);
  if (layout === "shared") await adoptSchema({ driver: database.driver, schema: database.schema, watchMs: 0 });
  return {
    layout,
    database,
    theirs,
    options,
    sql: (text, values) => database.sql(text, values),
    async [Symbol.asyncDispose]() {
      // It may close connections a moment after it was told to, and does not like them to be ended.
      await until(async () => (await database.sql(CONNECTED)).length === 0, {
        message: "graphile-worker to close its connections",
      });
      await database.drop();
    },
  };
}

/** Removes all jobs, queues, tasks and the history of crontabs. */
export async function emptyPlace({ database }: Place): Promise<void> {
  await database.sql(
    `truncate ${SCHEMA}._private_jobs, ${SCHEMA}._private_job_queues, ${SCHEMA}._private_known_crontabs restart identity`,
  );
}
