import type { TestDatabase } from "./database.ts";

/** What time it is for the database, in whole milliseconds since 1970. */
export async function databaseTime(database: TestDatabase): Promise<number> {
  const [row] = await database.sql("select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now");
  return Number(row?.["now"]);
}
