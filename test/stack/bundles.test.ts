import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type BuildOptions } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";
import { esmBanner } from "./page.ts";

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createDatabase();
  // Far from node_modules: a bundle needs none.
  folder = await mkdtemp(join(tmpdir(), "howdah-bundles-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await database.drop();
});

const fixture = (name: string): string => join(import.meta.dirname, "fixtures", name);

async function bundle(outfile: string, options: BuildOptions): Promise<string> {
  const file = join(folder, outfile);
  // A module of ours awaits at its top, which CommonJS cannot.
  const entryPoints = [fixture("program.mjs")];
  await build({ entryPoints, bundle: true, platform: "node", outfile: file, external: ["pg-native"], ...options });
  return file;
}

async function run(file: string) {
  const env = { DATABASE_URL: database.connectionString, HOWDAH_LOG: "error" };
  await using child = await startNode(file, { env });
  const { code } = await child.ended;
  return { code, lines: child.lines, errors: child.errorLines.join("\n") };
}

it("a bundle that is an ES module runs with the banner of the page", async () => {
  const file = await bundle("banner.mjs", { format: "esm", banner: { js: esmBanner() } });
  expect(await run(file)).toMatchObject({ code: 0, lines: ["hello bundle"] });
});

it("without the banner it ends with the error that the page quotes", async () => {
  const file = await bundle("bare.mjs", { format: "esm" });
  const { code, errors } = await run(file);
  expect(code).not.toBe(0);
  expect(errors).toContain('Dynamic require of "events" is not supported');
});

it("a bundle in CommonJS runs without one", async () => {
  const file = await bundle("plain.cjs", { format: "cjs", entryPoints: [fixture("program.cjs")] });
  expect(await run(file)).toMatchObject({ code: 0, lines: ["hello require"] });
});

it("a CommonJS program loads the package by require", async () => {
  expect(await run(fixture("program.cjs"))).toMatchObject({ code: 0, lines: ["hello require"] });
});
