import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { installLibraries } from "../harness/install-libraries.ts";

/** Installs the libraries, and Howdah as it was built beside them. */
export async function setup(): Promise<void> {
  await installLibraries(import.meta.dirname);
  const link = join(import.meta.dirname, "node_modules/howdah");
  if (!existsSync(link)) symlinkSync(join(import.meta.dirname, "../.."), link, "dir");
}
