import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { promisify } from "node:util";

/**
 * Installs the libraries of a folder, which have a lock file of their own, and runs what else they need, unless these
 * very ones are there. Rejects with what to do when that fails.
 */
export async function install(folder: string, more: readonly (readonly string[])[] = []): Promise<void> {
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
  const installed = join(folder, "node_modules/.installed");
  if (existsSync(installed) && readFileSync(installed, "utf8") === lock) return;
  for (const [command = "", ...args] of [["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], ...more]) {
    await promisify(execFile)(command, args, { cwd: folder, env: { ...process.env, ...ENVIRONMENT } }).catch(
      (cause) => {
        const name = relative(process.cwd(), folder);
        throw new Error(`\`${[command, ...args].join(" ")}\` failed in ${name}: run it there to see why.`, { cause });
      },
    );
  }
  writeFileSync(installed, lock);
}

/** Prisma generates its client without its engine for migrations, which it would download. */
const ENVIRONMENT = { PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true", CHECKPOINT_DISABLE: "1" };
