import { createClient } from "howdah";

/**
 * The client of this process, for the database that DATABASE_URL names. It is kept in `globalThis`, because modules are
 * loaded again at each change in development.
 */
export function jobs() {
  globalThis.howdahClient ??= createClient({ maxConnections: 3 });
  return globalThis.howdahClient;
}
