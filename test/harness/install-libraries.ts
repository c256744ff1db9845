import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";

/**
 * Installs the libraries of a folder, which have a lock file of their own, and runs what else they need, unless these
 * very ones are there. Rejects with what npm says and what to do when that fails.
 */
export async function installLibraries(folder: string, more: readonly Command[] = []): Promise<void> {
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
  const installed = join(folder, "node_modules/.installed");
  if (existsSync(installed) && readFileSync(installed, "utf8") === lock) return;
  for (const command of [["npm", "ci", ...QUIETLY] as const, ...more]) await runCommand(folder, command);
  writeFileSync(installed, lock);
}

/**
 * Makes a project of `source`, in a folder that does not exist: its files, its libraries, and in them the packed package
 * as npm installs it for a user. The libraries are downloaded once, into `source`. Rejects as `installLibraries` does.
 */
export async function installProject(source: string, project: string, tarball: string): Promise<void> {
  await installLibraries(source);
  await cp(source, project, { recursive: true, verbatimSymlinks: true });
  await runCommand(project, ["npm", "install", ...QUIETLY, "--prefer-offline", tarball]);
}

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

const QUIETLY = ["--ignore-scripts", "--no-audit", "--no-fund"];

/** Prisma generates its client without its engine for migrations, which it would download. */
const ENVIRONMENT = { PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true", CHECKPOINT_DISABLE: "1" };

/** Runs a command of an installation in a folder. Rejects with what it has said. */
export async function runCommand(folder: string, [program, ...args]: Command): Promise<void> {
  try {
    await promisify(execFile)(program, args, { cwd: folder, env: { ...process.env, ...ENVIRONMENT } });
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    const said = stderr?.trim() || (cause instanceof Error ? cause.message : String(cause));
    const [reason] = said.split("\nnpm error Clean install a project"); // what follows is how npm is used
    throw new Error(
      `Could not install the libraries of ${relative(process.cwd(), folder)}, which come from the registry of npm. ` +
        `If the registry cannot be reached, that says nothing about Howdah: run the step again when it can. ` +
        `\`${[program, ...args].join(" ")}\` in that folder said:\n${reason}`,
    );
  }
}
