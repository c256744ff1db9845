/**
 * Makes a release of the version in package.json:
 *
 *   npm run release                 checks, builds and packs it, dates its changelog and freezes its migrations
 *   npm run release -- --dry-run    the same, with the package in a temporary folder and nothing else written
 *
 * What is left to do afterwards, it prints: commit, tag, publish. The package stays in test/upgrade/releases, so that
 * the tests run it on the schema of every later release.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { dateChangelog } from "./changelog.mjs";
import { changesOf, freeze, readFrozen, writeFrozen } from "./frozen-migrations.mjs";
import { readMigrations } from "./migrations.mjs";

const ROOT = resolve(import.meta.dirname, "..");
const CHANGELOG = join(ROOT, "CHANGELOG.md");
const RELEASES = join(ROOT, "test/upgrade/releases");

const { values } = parseArgs({ options: { "dry-run": { type: "boolean", default: false } } });
const { name, version } = readJson("package.json");
const migrations = await readMigrations();
const frozen = await readFrozen();
const dated = dateChangelog(readFileSync(CHANGELOG, "utf8"), { version, date: new Date().toISOString().slice(0, 10) });

const problems = [...findProblems(), ...dated.problems, ...changesOf(frozen, migrations)];
if (problems.length > 0) {
  console.error(`${name} ${version} cannot be released:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  process.exitCode = 1;
} else {
  run("npm", ["run", "build", "--silent"]);
  if (values["dry-run"]) rehearse();
  else await release();
}

function findProblems() {
  const lock = readJson("package-lock.json");
  const found = [];
  const changed = run("git", ["status", "--porcelain"]);
  if (changed !== "") found.push(`There are changes that are not committed:\n${changed}`);
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) found.push(`${version} in package.json is no version.`);
  if (lock.version !== version || lock.packages[""].version !== version) {
    found.push(`package-lock.json has version ${lock.version}: run npm install --package-lock-only.`);
  }
  const tarball = join(RELEASES, tarballName());
  if (existsSync(tarball)) found.push(`${relative(ROOT, tarball)} is there: ${version} was released before.`);
  for (const { file, isNumbered } of migrations) {
    if (!isNumbered) found.push(`${file} has no number: give it the next one.`);
  }
  return found;
}

function rehearse() {
  const folder = mkdtempSync(join(tmpdir(), "howdah-release-"));
  pack(folder);
  rmSync(folder, { recursive: true });
  console.log(`${name} ${version} can be released. Nothing was written.`);
}

async function release() {
  writeFileSync(CHANGELOG, dated.text);
  mkdirSync(RELEASES, { recursive: true });
  pack(RELEASES);
  await writeFrozen(freeze(frozen, migrations, version));
  console.log(
    `\n${name} ${version} is packed. Commit and tag it:\n` +
      `  git add --all && git commit --message "Release ${version}" && git tag v${version}\n` +
      `and publish what was packed:\n` +
      `  npm publish ${relative(ROOT, join(RELEASES, tarballName()))}`,
  );
}

/** Packs what was built; npm's own scripts would build it again. */
function pack(folder) {
  const output = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]);
  const [{ filename, files, size }] = JSON.parse(output);
  const added = migrations.filter(({ file }) => !(file in frozen));
  console.log(`${filename}: ${files.length} files, ${Math.ceil(size / 1024)} KiB`);
  console.log(`Migrations that are frozen with it: ${added.map(({ file }) => file).join(", ") || "none"}`);
}

/** What `npm pack` calls it. */
function tarballName() {
  return `${name}-${version}.tgz`;
}

function readJson(file) {
  return JSON.parse(readFileSync(join(ROOT, file), "utf8"));
}

function run(command, args) {
  return execFileSync(command, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trimEnd();
}
