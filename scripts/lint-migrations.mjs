/** Runs squawk over the migrations, with every fragment in its place and the name of a schema filled in. */
import { spawnSync } from "node:child_process";
import { readMigrations } from "./migrations.mjs";

for (const { file, sql } of await readMigrations()) {
  const input = sql.replaceAll(':"schema"', '"howdah"').replaceAll(":'schema'", "'howdah'");
  // The binary of node_modules/.bin is on the path of every npm script. Its lines are those of the generated file.
  const args = ["--config", ".squawk.toml", "--stdin-filepath", `src/postgres/migrations/${file}`];
  const { status, error } = spawnSync("squawk", args, { input, stdio: ["pipe", "inherit", "inherit"] });
  if (error) throw error;
  if (status !== 0) process.exitCode = 1;
}
