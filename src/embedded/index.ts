/**
 * PostgreSQL without installing it, for a first look, for development and for
 * tests: `howdah/embedded`.
 *
 * @packageDocumentation
 */
export type { PostgresVersion } from "./binaries.ts";
export type { SettingValue, StartPostgresOptions } from "./options.ts";
export { startPostgres, startPostgresUnlessGiven, type EmbeddedPostgres } from "./start-postgres.ts";
