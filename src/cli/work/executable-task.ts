import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { JobContext } from "../../job/execute/context.ts";
import type { Job } from "../../job/job.ts";
import { type AnyTask, defineTask } from "../../job/task.ts";
import { unrecoverable } from "../../job/unrecoverable.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Duration } from "../../runtime/duration.ts";

/**
 * A task whose handler is a program. It gets the payload as JSON on stdin and
 * the job in environment variables. Exit code 0 is success, 65 (`EX_DATAERR`)
 * fails the job for good, any other one, and the end by a signal, is a failed
 * attempt; the last line on stderr becomes the error. What it prints is logged.
 * When the job must stop, its process group gets SIGTERM, and SIGKILL 5 s later.
 * The job ends with the program, also when a process that the program has left
 * behind holds its output open.
 */
export function executableTask(
  file: string,
  { identifier, timeout }: { readonly identifier: string; readonly timeout: Duration },
): AnyTask {
  return defineTask({ identifier, timeout, run: (payload: unknown, context) => runProgram(file, payload, context) });
}

async function runProgram(file: string, payload: unknown, { job, signal, logger }: JobContext): Promise<void> {
  signal.throwIfAborted();
  // In a process group of its own, so that what it starts can be ended with it.
  const child = spawn(file, [], { env: { ...process.env, ...variablesOf(job) }, stdio: "pipe", detached: true });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  // It could not be started, and may have no pipes.
  if (child.pid === undefined) await exited;
  const closed = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  const fields = { job: job.id, task: job.task };
  const said = { last: "" };
  eachLine(child.stdout, (line) => logger.info(line, fields));
  eachLine(child.stderr, (line) => {
    said.last = line;
    logger.warn(line, fields);
  });
  // A program that does not read its payload closes the pipe.
  child.stdin.on("error", () => undefined).end(JSON.stringify(payload));
  const stopKilling = killWhenAborted(child, signal);
  try {
    const [code, killedBy] = await exited;
    const isStopped = signal.aborted;
    // When it had to stop, what it has started is given the same time, and killed.
    await waitAtMost(closed, LAST_WORDS_MS + (isStopped ? KILL_AFTER_MS : 0));
    if (isStopped) signal.throwIfAborted();
    if (code !== 0) throw failureOf(code, killedBy, said.last);
  } finally {
    stopKilling();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** "This is bad input" of sysexits.h: trying again would not help. */
const EX_DATAERR = 65;

const KILL_AFTER_MS = 5_000;
/** How long output is read on after the program has ended. */
const LAST_WORDS_MS = 1_000;
const MOST_CHARACTERS = 2_000;

function variablesOf(job: Job): NodeJS.ProcessEnv {
  return {
    HOWDAH_TASK: job.task,
    HOWDAH_JOB_ID: job.id,
    HOWDAH_JOB_QUEUE: job.queueName ?? "",
    HOWDAH_JOB_KEY: job.jobKey ?? "",
    HOWDAH_JOB_ATTEMPT: String(job.attempts),
    HOWDAH_JOB_MAX_ATTEMPTS: String(job.maxAttempts),
    HOWDAH_JOB_PRIORITY: String(job.priority),
    HOWDAH_JOB_RUN_AT: job.runAt.toISOString(),
  };
}

/** Lines are cut, so that one without an end does not fill the memory. */
function eachLine(stream: Readable, take: (line: string) => void): void {
  let line = "";
  const add = (text: string): void => void (line += text.slice(0, MOST_CHARACTERS - line.length));
  const end = (): void => {
    if (line.trim() !== "") take(line);
    line = "";
  };
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    const [first = "", ...others] = chunk.split(/\r\n|\r|\n/);
    add(first);
    for (const text of others) {
      end();
      add(text);
    }
  });
  stream.on("end", end);
}

async function waitAtMost(event: Promise<void>, ms: number): Promise<void> {
  const enough = new AbortController();
  await Promise.race([event, systemClock.sleep(ms, enough.signal)]);
  enough.abort();
}

/** Ends the program and all that it has started when the job must stop; returns what takes that back. */
function killWhenAborted(child: ChildProcess, signal: AbortSignal): () => void {
  let timer: { cancel(): void } | undefined;
  const kill = (): void => {
    sendTo(child, "SIGTERM");
    timer = systemClock.setTimer(KILL_AFTER_MS, () => sendTo(child, "SIGKILL"));
  };
  signal.addEventListener("abort", kill, { once: true });
  return () => {
    signal.removeEventListener("abort", kill);
    timer?.cancel();
  };
}

function sendTo({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

function failureOf(code: number | null, killedBy: NodeJS.Signals | null, said: string): Error {
  const how = code === null ? `The program was ended by ${killedBy}` : `The program ended with exit code ${code}`;
  const error = new Error(said === "" ? `${how}.` : `${how}: ${said}`);
  return code === EX_DATAERR ? unrecoverable(error) : error;
}
