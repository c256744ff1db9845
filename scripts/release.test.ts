import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COPIED = [
  ".gitignore",
  "src/postgres/migrations",
  ...["release", "changelog", "frozen-migrations", "migrations", "sql-fragments"].map((name) => `scripts/${name}.mjs`),
];
const MANIFEST = {
  name: "howdah",
  version: "99.1.0",
  type: "module",
  files: ["dist", "CHANGELOG.md"],
  scripts: { build: "node -e \"fs.mkdirSync('dist', { recursive: true }); fs.writeFileSync('dist/index.js', '')\"" },
};
const CHANGES = "# Changelog\n\nWords.\n\n## [Unreleased]\n\n### Added\n\n- **A thing.** It works.\n";

let project: string;

/** A project with the migrations of this one, in which everything is committed. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "howdah-release-test-"));
  for (const path of COPIED) cpSync(join(ROOT, path), join(project, path), { recursive: true });
  numberMigrations(join(project, "src/postgres/migrations"));
  write("src/postgres/migrations/frozen.json", "{}\n");
  write("package.json", JSON.stringify(MANIFEST));
  write("package-lock.json", JSON.stringify({ version: "99.1.0", packages: { "": { version: "99.1.0" } } }));
  write("CHANGELOG.md", CHANGES);
  git("init", "--quiet");
  commit();
});

afterEach(() => {
  rmSync(project, { recursive: true });
});

/** Gives what is new here the numbers that a release wants. */
function numberMigrations(folder: string): void {
  const files = readdirSync(folder);
  const numbered = files.filter((file) => /^\d{6}-/.test(file)).length;
  files
    .filter((file) => file.startsWith("new-"))
    .toSorted()
    .forEach((file, index) => {
      const number = String(numbered + 1 + index).padStart(6, "0");
      renameSync(join(folder, file), join(folder, file.replace("new", number)));
    });
}

function write(file: string, text: string): void {
  writeFileSync(join(project, file), text);
}

function read(file: string): string {
  return readFileSync(join(project, file), "utf8");
}

function git(...args: string[]): string {
  return execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], {
    cwd: project,
    encoding: "utf8",
  });
}

function commit(): void {
  git("add", "--all");
  git("commit", "--quiet", "--message", "Change");
}

function release(...args: string[]) {
  return spawnSync(process.execPath, ["scripts/release.mjs", ...args], { cwd: project, encoding: "utf8" });
}

describe("npm run release", () => {
  it("packs the package with a dated changelog and freezes the migrations", () => {
    const { status, stdout, stderr } = release();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("git tag v99.1.0");
    const date = new Date().toISOString().slice(0, 10);
    expect(read("CHANGELOG.md")).toContain(`## [Unreleased]\n\n## [99.1.0] - ${date}\n\n### Added\n`);
    const tarball = "test/upgrade/releases/howdah-99.1.0.tgz";
    const packed = execFileSync("tar", ["-xzOf", join(project, tarball), "package/CHANGELOG.md"], { encoding: "utf8" });
    expect(packed).toBe(read("CHANGELOG.md"));
    expect(JSON.parse(read("src/postgres/migrations/frozen.json"))).toMatchObject({
      "000001-tables.sql": { release: "99.1.0", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(git("status", "--porcelain", "--untracked-files=all")).toContain(tarball);
  });

  it("writes nothing in a dry run", () => {
    const { status, stdout } = release("--dry-run");
    expect(status).toBe(0);
    expect(stdout).toContain("howdah 99.1.0 can be released. Nothing was written.");
    expect(git("status", "--porcelain")).toBe("");
  });

  it.each([
    ["there are changes that are not committed", () => write("left-over.txt", ""), /not committed:\n\?\? left-over/],
    [
      "the lock file has another version",
      () => write("package-lock.json", JSON.stringify({ version: "99.0.0", packages: { "": { version: "99.0.0" } } })),
      /package-lock\.json has version 99\.0\.0/,
    ],
    [
      "the changelog has this version already",
      () => write("CHANGELOG.md", `${CHANGES}\n## [99.1.0] - 2020-01-01\n`),
      /has a section for 99\.1\.0 already/,
    ],
    [
      "nothing is noted as unreleased",
      () => write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [99.0.0] - 2020-01-01\n\n- A thing.\n"),
      /says nothing under/,
    ],
    [
      "a migration has no number",
      () => write("src/postgres/migrations/new-history.sql", "select 1;\n"),
      /new-history\.sql has no number/,
    ],
    [
      "a migration of an earlier release has changed",
      () =>
        write(
          "src/postgres/migrations/frozen.json",
          JSON.stringify({ "000001-tables.sql": { release: "99.0.0", sha256: "other" } }),
        ),
      /000001-tables\.sql was released with 99\.0\.0 and has changed/,
    ],
  ])("refuses when %s", (what, change, said) => {
    change();
    if (!what.includes("committed")) commit();
    const { status, stderr } = release();
    expect(status).toBe(1);
    expect(stderr).toMatch(said);
    expect(existsSync(join(project, "test/upgrade/releases"))).toBe(false);
  });

  it("refuses a version that was packed before", () => {
    expect(release().status).toBe(0);
    write("CHANGELOG.md", CHANGES);
    commit();
    const { status, stderr } = release();
    expect(status).toBe(1);
    expect(stderr).toContain("howdah-99.1.0.tgz is there: 99.1.0 was released before.");
  });
});
