import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { until } from "./until.ts";

/** How a process is started. */
export interface ProcessOptions {
  readonly args?: readonly string[];
  /** Another program than this Node.js that runs the script, and what comes before the name of the script. */
  readonly runtime?: readonly [program: string, ...args: string[]];
  /** Beside the environment of the tests; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Makes the process the leader of a group of its own, as a terminal does. Default false. */
  readonly ownGroup?: boolean;
  /** Another user to run as, which only root can ask for. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** How a process ended: with a code, or by a signal. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A real process that a test looks at from outside. Killed at the end of the block or of the file. */
export interface TestProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it has written to stdout so far. */
  readonly lines: readonly string[];
  /** What it has written to stderr so far. */
  readonly errorLines: readonly string[];
  readonly ended: Promise<ProcessEnd>;
  /** Waits for a line on stdout that holds `part` and returns it. Rejects when the process ends without. */
  line(part: string | RegExp, deadlineMs?: number): Promise<string>;
  /** Writes a line to its stdin. */
  say(line: string): void;
  /** Sends a signal to this process alone. Default SIGKILL. */
  kill(signal?: NodeJS.Signals): void;
}

const running = new Set<TestProcess>();

// Runs at the end of every test file that imports this one.
afterAll(async () => {
  for (const process of running) await process[Symbol.asyncDispose]();
});

/**
 * Starts a script in Node.js, where TypeScript does not run: a fixture in
 * JavaScript that imports from `dist`, given as `new URL("fixtures/x.mjs", import.meta.url)`.
 */
export async function startNode(script: URL | string, options: ProcessOptions = {}): Promise<TestProcess> {
  const file = script instanceof URL ? fileURLToPath(script) : script;
  const [program, ...before] = options.runtime ?? [process.execPath];
  const child = spawn(program, [...before, file, ...(options.args ?? [])], {
    cwd: options.cwd,
    detached: options.ownGroup ?? false,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...options.user,
  });
  await once(child, "spawn");
  const started = watch(child, child.pid as number);
  running.add(started);
  void started.ended.then(() => running.delete(started));
  return started;
}

function watch(child: ChildProcessByStdio<Writable, Readable, Readable>, pid: number): TestProcess {
  const lines = collectLines(child.stdout);
  const errorLines = collectLines(child.stderr);
  child.stdin.on("error", () => {});
  let end: ProcessEnd | undefined;
  const ended = once(child, "close").then(() => (end = { code: child.exitCode, signal: child.signalCode }));

  async function line(part: string | RegExp, deadlineMs?: number): Promise<string> {
    const find = (): string | undefined =>
      lines.find((text) => (typeof part === "string" ? text.includes(part) : part.test(text)));
    await until(() => find() !== undefined || end !== undefined, { message: `a line with ${part}`, deadlineMs });
    const found = find();
    if (found !== undefined) return found;
    throw new Error(`Process ${pid} ended without a line with ${part}:\n${[...lines, ...errorLines].join("\n")}`);
  }
  function kill(signal: NodeJS.Signals = "SIGKILL"): void {
    child.kill(signal);
  }
  return {
    pid,
    lines,
    errorLines,
    ended,
    line,
    say: (text) => void child.stdin.write(`${text}\n`),
    kill,
    async [Symbol.asyncDispose]() {
      kill();
      await ended;
    },
  };
}

function collectLines(stream: Readable): string[] {
  const lines: string[] = [];
  createInterface({ input: stream }).on("line", (line) => lines.push(line));
  return lines;
}
