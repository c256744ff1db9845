import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  install,
  type Manifest,
  type PackedPackage,
  packPackage,
  unpackPackage,
  type UnpackedPackage,
} from "../harness/unpacked-package.ts";

/** Grows with the package, on purpose only: what everyone downloads who installs it. */
const MAX_PACKED_BYTES = 1_800_000;

/** What has to be installed beside the package for a subpath; all others do without. */
const PEERS: Readonly<Record<string, string>> = {
  "howdah/opentelemetry": "@opentelemetry/api",
  "howdah/postgres": "postgres",
  "howdah/prometheus": "prom-client",
};

/** What only `howdah` on the command line needs. */
const OF_THE_COMMAND_LINE = ["cli-progress", "cli-table3", "commander"];

const declared = JSON.parse(readFileSync(resolve(import.meta.dirname, "../../package.json"), "utf8")) as Manifest;

/** What an application may import: `howdah`, `howdah/pg`, … */
const SPECIFIERS = Object.keys(declared.exports)
  .filter((subpath) => subpath !== "./package.json")
  .map((subpath) => `${declared.name}${subpath.slice(1)}`);

const WITHOUT_PEERS = SPECIFIERS.filter((specifier) => !(specifier in PEERS));

let scratch: string;
let packed: PackedPackage;
let unpacked: UnpackedPackage;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "howdah-dist-"));
  packed = await packPackage(scratch);
  unpacked = await unpackPackage(packed.tarball);
});

afterAll(async () => {
  await unpacked.remove();
  await rm(scratch, { recursive: true });
});

describe("the packed package", () => {
  it("needs no optional peer where nothing says so", async () => {
    const imports = WITHOUT_PEERS.map((specifier) => `import "${specifier}";`);
    const { stderr } = await unpacked.node("--input-type=module", "--eval", imports.join(""));
    expect(stderr).toBe("");
    await Promise.all(Object.values(PEERS).map((peer) => install(unpacked.project, peer)));
  });

  it("loads none of the libraries of the command line with what applications import", async () => {
    await Promise.all(OF_THE_COMMAND_LINE.map((name) => rm(join(unpacked.project, "node_modules", name))));
    const imports = WITHOUT_PEERS.map((specifier) => `import "${specifier}";`).join("");
    const loading = unpacked.node("--input-type=module", "--eval", imports);
    await expect(loading).resolves.toMatchObject({ stderr: "" });
    await Promise.all(OF_THE_COMMAND_LINE.map((name) => install(unpacked.project, name)));
  });

  it.each(SPECIFIERS)("exports something from %s", async (specifier) => {
    const script = `console.log(Object.keys(await import(${JSON.stringify(specifier)})).join(" "))`;
    const { stdout, stderr } = await unpacked.node("--input-type=module", "--eval", script);
    expect(stdout.trim()).not.toBe("");
    expect(stderr).toBe("");
  });

  it("hides what no subpath exports", async () => {
    const script = 'await import("howdah/dist/errors.js")';
    await expect(unpacked.node("--input-type=module", "--eval", script)).rejects.toThrow(
      "ERR_PACKAGE_PATH_NOT_EXPORTED",
    );
  });

  it("answers --help and --version on the command line", async () => {
    const cli = join(unpacked.project, "package", unpacked.manifest.bin["howdah"] ?? "");
    const help = await unpacked.node(cli, "--help");
    expect(help.stdout).toContain("Usage: howdah");
    const version = await unpacked.node(cli, "--version");
    expect(version.stdout.trim()).toBe(unpacked.manifest.version);
  });

  it("is understood by a strict compiler that knows no package but Node's types", async () => {
    await install(unpacked.project, "@types/node");
    const imports = SPECIFIERS.map((specifier, index) => `export * as entry${index} from "${specifier}";`);
    await writeFile(join(unpacked.project, "consumer.mts"), imports.join("\n"));
    const tsc = resolve(import.meta.dirname, "../../node_modules/typescript/bin/tsc");
    const options = "--noEmit --strict --target es2022 --lib es2023,esnext.disposable --module nodenext --types node";
    const { stdout } = await unpacked
      .node(tsc, ...options.split(" "), "consumer.mts")
      .catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  });

  it("holds what was built and nothing of the tests", () => {
    const strangers = packed.files.filter((file) => !/^(dist\/|package\.json$|[A-Z]+(\.md)?$)/.test(file));
    expect(strangers).toEqual([]);
    expect(packed.files.filter((file) => /\.test\.|\.test-d\.|(?<!\.d)\.ts$/.test(file))).toEqual([]);
    expect(packed.files).toEqual(expect.arrayContaining(["README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"]));
  });

  it("imports none of the sources, which are not in it", async () => {
    const scripts = packed.files.filter((file) => file.startsWith("dist/") && file.endsWith(".js"));
    expect(scripts.length).toBeGreaterThan(300);
    const found = await Promise.all(
      scripts.map(async (file) => {
        const text = await readFile(join(unpacked.folder, file), "utf8");
        return /(?:from|import\()\s*"\.[^"]*\.ts"/.test(text) ? file : undefined;
      }),
    );
    expect(found.filter((file) => file !== undefined)).toEqual([]);
  });

  it("stays within its size budget", () => {
    expect(packed.bytes).toBeLessThan(MAX_PACKED_BYTES);
  });
});
