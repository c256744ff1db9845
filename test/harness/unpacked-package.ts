import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");

/** What is read of a package's package.json. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** A packed package, unpacked in a project of its own. */
export interface UnpackedPackage {
  /** The project that depends on the package. */
  readonly project: string;
  /** The package inside of it. */
  readonly folder: string;
  /** The package's own package.json. */
  readonly manifest: Manifest;
  /** Runs Node.js in the project. Rejects when it ends with another code than 0. */
  node(...args: string[]): Promise<{ stdout: string; stderr: string }>;
  remove(): Promise<void>;
}

/**
 * Unpacks a tarball of npm where nothing of this repository can be found but the dependencies that its package.json
 * declares. Nothing is downloaded: they are those that are installed here.
 */
export async function unpackPackage(tarball: string): Promise<UnpackedPackage> {
  const project = await mkdtemp(join(tmpdir(), "howdah-package-"));
  await run("tar", ["-xzf", tarball, "--directory", project]);
  const folder = join(project, "package");
  const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
  await mkdir(join(project, "node_modules"));
  await symlink(folder, join(project, "node_modules", manifest.name));
  for (const dependency of Object.keys(manifest.dependencies)) await install(project, dependency);
  return {
    project,
    folder,
    manifest,
    node: (...args) => run(process.execPath, args, { cwd: project }),
    remove: () => rm(project, { recursive: true, force: true }),
  };
}

/** What `npm pack` makes of the built package. */
export interface PackedPackage {
  readonly tarball: string;
  /** Size of the tarball in bytes. */
  readonly bytes: number;
  /** Paths in the package, as npm lists them. */
  readonly files: readonly string[];
}

/** Packs dist/ into a folder that exists. Needs `npm run build` before. */
export async function packPackage(folder: string): Promise<PackedPackage> {
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    cwd: ROOT,
  });
  const [{ filename, files, size }] = JSON.parse(stdout) as [
    { filename: string; files: { path: string }[]; size: number },
  ];
  return { tarball: join(folder, filename), bytes: size, files: files.map(({ path }) => path) };
}

/** Links an installed package into a project's node_modules, where its own dependencies are still found. */
export async function install(project: string, dependency: string): Promise<void> {
  const target = join(project, "node_modules", dependency);
  await mkdir(dirname(target), { recursive: true });
  await symlink(join(ROOT, "node_modules", dependency), target);
}
