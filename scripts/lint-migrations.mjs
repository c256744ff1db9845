/** Runs squawk over the migrations, with the placeholders for the schema filled in. */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

const folder = "src/postgres/migrations";

for (const file of readdirSync(folder).sort()) {
  const path = `${folder}/${file}`;
  const input = readFileSync(path, "utf8").replaceAll(':"schema"', '"howdah"').replaceAll(":'schema'", "'howdah'");
  // The binary of node_modules/.bin is on the path of every npm script.
  const args = ["--config", ".squawk.toml", "--stdin-filepath", path];
  const { status, error } = spawnSync("squawk", args, { input, stdio: ["pipe", "inherit", "inherit"] });
  if (error) throw error;
  if (status !== 0) process.exitCode = 1;
}
