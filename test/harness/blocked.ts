import type pg from "pg";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

/** Resolves once the statement that `session` runs waits for a lock of another session. */
export async function blocked(database: TestDatabase, session: pg.Client): Promise<void> {
  await someRow(database, "where pid = $1 and cardinality(pg_blocking_pids(pid)) > 0", session);
}

/** Resolves once any session waits for a lock that `session` holds. */
export async function blockedBy(database: TestDatabase, session: pg.Client): Promise<void> {
  await someRow(database, "where $1 = any(pg_blocking_pids(pid))", session);
}

async function someRow(database: TestDatabase, condition: string, session: pg.Client): Promise<void> {
  const { processID } = session as pg.Client & { readonly processID: number };
  await until(async () => (await database.sql(`select from pg_stat_activity ${condition}`, [processID])).length > 0, {
    message: `a session to wait for a lock (${condition}, ${processID})`,
  });
}
