import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const declared = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;

/** What an application may import: `howdah`, `howdah/pg`, … */
export const SPECIFIERS = Object.keys(declared.exports)
  .filter((subpath) => subpath !== "./package.json")
  .map((subpath) => `${declared.name}${subpath.slice(1)}`);

/** What `npm pack` makes of the built package, unpacked in a project of its own. */
export interface UnpackedPackage {
  /** The project that depends on the package. */
  readonly project: string;
  /** Paths in the package, as npm lists them. */
  readonly files: readonly string[];
  /** Size of the tarball in bytes. */
  readonly packedBytes: number;
  /** The package's own package.json. */
  readonly manifest: Manifest;
  /** Runs Node.js in the project. Rejects when it ends with another code than 0. */
  node(...args: string[]): Promise<{ stdout: string; stderr: string }>;
  remove(): Promise<void>;
}

/**
 * Packs dist/ and unpacks it where nothing of this repository can be found but the dependencies that package.json
 * declares. Needs `npm run build` before.
 */
export async function unpackPackage(): Promise<UnpackedPackage> {
  const project = await mkdtemp(join(tmpdir(), "howdah-dist-"));
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project], {
    cwd: ROOT,
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  await run("tar", ["-xzf", filename], { cwd: project });
  const manifest = JSON.parse(await readFile(join(project, "package/package.json"), "utf8")) as Manifest;
  await mkdir(join(project, "node_modules"));
  await symlink(join(project, "package"), join(project, "node_modules", manifest.name));
  for (const dependency of Object.keys(manifest.dependencies)) await install(project, dependency);
  return {
    project,
    manifest,
    files: files.map(({ path }) => path),
    packedBytes: (await stat(join(project, filename))).size,
    node: (...args) => run(process.execPath, args, { cwd: project }),
    remove: () => rm(project, { recursive: true, force: true }),
  };
}

/** Links an installed package into a project's node_modules, where its own dependencies are still found. */
export async function install(project: string, dependency: string): Promise<void> {
  const target = join(project, "node_modules", dependency);
  await mkdir(dirname(target), { recursive: true });
  await symlink(join(ROOT, "node_modules", dependency), target);
}
