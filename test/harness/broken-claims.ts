import type { TestDatabase } from "./database.ts";

/** Lets every claim in a database fail while something is done: its functions have other names. */
export async function withBrokenClaims(database: TestDatabase, work: () => Promise<void>): Promise<void> {
  const rename = (from: string, to: string) =>
    database.sql(`do $$ declare f record; begin
      for f in select oid::regprocedure as name, proname from pg_proc
        where pronamespace = 'howdah'::regnamespace and proname ~ '^${from}.*claim'
      loop execute format('alter function %s rename to %I', f.name, regexp_replace(f.proname, '^${from}', '${to}')); end loop;
    end $$`);
  await rename("_howdah_", "gone_");
  try {
    await work();
  } finally {
    await rename("gone_", "_howdah_");
  }
}
