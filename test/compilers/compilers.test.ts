import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { install as link, packPackage } from "../harness/unpacked-package.ts";
import { installLibraries } from "../harness/install-libraries.ts";

const FOLDER = import.meta.dirname;

let scratch: string;
beforeAll(async () => {
  await installLibraries(FOLDER);
  scratch = await mkdtemp(join(tmpdir(), "howdah-compilers-"));
  const { tarball } = await packPackage(scratch);
  await cp(join(FOLDER, "fixtures/program.ts"), join(scratch, "program.ts"));
  await writeFile(join(scratch, "package.json"), '{ "type": "module" }');
  const howdah = join(scratch, "node_modules/howdah");
  await mkdir(howdah, { recursive: true });
  await run("tar", ["-xzf", tarball, "--directory", howdah, "--strip-components=1"]);
  const { dependencies } = JSON.parse(await readFile(join(howdah, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of [...Object.keys(dependencies), "@types/node", "@types/pg", "@opentelemetry/api"]) {
    await link(scratch, name);
  }
}, 300_000);
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** What a program writes, whether or not it succeeds. */
function run(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd: scratch, maxBuffer: 10_000_000 }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}

/** What one compiler says of the program, and of the types of the package: nothing is skipped. */
function compile(version: string, [module, moduleResolution]: readonly [string, string], more: string[] = []) {
  const compiler = join(FOLDER, `node_modules/typescript-${version}/bin/tsc`);
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
  const where = ["--module", module, "--moduleResolution", moduleResolution, "--target", "es2022", "--types", "node"];
  return run(process.execPath, [compiler, "--noEmit", "--pretty", "false", ...where, ...strict, ...more, "program.ts"]);
}

/** The oldest that reads the types, and the newest. */
const VERSIONS = ["5.4", "7.0"];
const WAYS = [
  ["node16", "node16"],
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
] as const;

describe.each(VERSIONS)("TypeScript %s", (version) => {
  it.each(WAYS)(
    "compiles an application and the types of the package with module %s, resolution %s",
    async (...way) => {
      expect(await compile(version, way)).toBe("");
    },
    60_000,
  );

  it("is the one that the folder is named after, and finds what is wrong", async () => {
    expect(await compile(version, WAYS[0], ["--version"])).toMatch(
      new RegExp(`^Version ${version.replace(".", "\\.")}`),
    );
    const program = join(scratch, "program.ts");
    const text = await readFile(program, "utf8");
    await writeFile(program, text.replaceAll("// @ts-expect-error", "//"));
    const found = await compile(version, WAYS[0]);
    await writeFile(program, text);
    expect(found.match(/^program\.ts.*error TS\d+/gm)).toHaveLength(text.match(/@ts-expect-error/g)?.length ?? 0);
  }, 120_000);
});
