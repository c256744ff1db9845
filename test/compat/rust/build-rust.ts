import { join } from "node:path";
import { runCommand } from "../../harness/install-libraries.ts";

const TARGET = join(import.meta.dirname, "../../../.cache/compat-rust");

/** Builds the program with graphile_worker_rs. Rejects, and says what to do, where that cannot be. */
export async function buildRust(): Promise<void> {
  await runCommand(import.meta.dirname, ["cargo", "build", "--release", "--locked", "--target-dir", TARGET]);
}

/** The program that {@link buildRust} builds. */
export const PROGRAM = join(TARGET, "release/howdah-compat-rust");
