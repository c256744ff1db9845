import { startNode, type TestProcess } from "../../harness/process.ts";
import { SCHEMA } from "../layouts.ts";
import { PROGRAM } from "./build-rust.ts";

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
