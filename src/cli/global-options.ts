import { Option } from "commander";

/** The options of every command. */
export const GLOBAL_OPTIONS: readonly Option[] = [
  new Option("--database-url <url>", "the database: postgresql://user:password@host:5432/database"),
  new Option("--schema <name>", 'the schema of the queue (default: "howdah")'),
  new Option("--json", "print JSON for scripts instead of text for people"),
];
