import { join } from "node:path";
import { runCommand } from "../../harness/install-libraries.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { SCHEMA } from "../layouts.ts";

const TARGET = join(import.meta.dirname, "../../../.cache/compat-rust");
const PROGRAM = join(TARGET, "release/howdah-compat-rust");

/** Starts a call of the program, such as `work`, and what it is told. */
export function startRust(call: string, connectionString: string, input: unknown = null): Promise<TestProcess> {
  const args = [connectionString, SCHEMA, JSON.stringify(input)];
  return startNode(call, { runtime: [PROGRAM], args });
}

/** Makes a call and returns its answer. Rejects with what the program says when it fails. */
export async function callRust(call: string, connectionString: string, input?: unknown): Promise<unknown> {
  const started = await startRust(call, connectionString, input);
  const { code } = await started.ended;
  if (code !== 0) throw new Error(`${call} ended with ${code}: ${started.errorLines.join("\n")}`);
  return JSON.parse(started.lines.at(-1) ?? "null");
}

/** Builds the program. Rejects, and says what to do, where there is no cargo. */
export async function buildRust(): Promise<void> {
  await runCommand(import.meta.dirname, ["cargo", "build", "--release", "--locked", "--target-dir", TARGET]);
}
