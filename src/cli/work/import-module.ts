import { pathToFileURL } from "node:url";
import type * as Jiti from "jiti";
import { HowdahError, isHowdahError } from "../../errors.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { ModuleExports } from "./task-module.ts";

/**
 * Imports a module in JavaScript or TypeScript. A Node.js that strips types
 * imports both; an older one needs the package `jiti` for TypeScript. Throws
 * `HOWDAH_OPTION_INVALID` without `jiti`, and when the module throws.
 */
export async function importModule(path: string): Promise<ModuleExports> {
  try {
    return await load(path);
  } catch (error) {
    if (isHowdahError(error)) throw error;
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${JSON.stringify(path)} cannot be loaded: ${errorMessage(error)}`,
      error,
    );
  }
}

async function load(path: string): Promise<ModuleExports> {
  const url = pathToFileURL(path).href;
  if (!/\.[mc]?ts$/.test(path) || stripsTypes()) return (await import(url)) as ModuleExports;
  const { createJiti } = await loadJiti(path);
  return await createJiti(import.meta.url).import<ModuleExports>(path);
}

/** The extensions of modules, in the order in which they are looked for. */
export const MODULE_EXTENSIONS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"] as const;

/** Since Node.js 22.18. The types of the oldest release that is supported do not know it. */
function stripsTypes(): boolean {
  return Boolean((process.features as { readonly typescript?: unknown }).typescript);
}

/** An optional peer, as for other tools that read a configuration in TypeScript. */
async function loadJiti(path: string): Promise<typeof Jiti> {
  try {
    return await import("jiti");
  } catch (error) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${JSON.stringify(path)} is TypeScript, which Node.js ${process.versions.node} does not read by itself: ` +
        "npm install jiti, or use Node.js 22.18 or newer.",
      error,
    );
  }
}
