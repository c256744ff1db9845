import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import picocolors from "picocolors";

/** The output of a command. */
export interface Screen {
  /** Colours for stdout; they do nothing when it is not a terminal, or when `NO_COLOR` is set. */
  readonly paint: ReturnType<typeof picocolors.createColors>;
  /** The columns of the terminal; `undefined` when stdout is not one, and nothing has to be cut. */
  readonly width: number | undefined;
  /** Writes a line to stdout: the result. */
  print(line?: string): void;
  /** Writes a value to stdout as JSON that ends with a newline. */
  printJson(value: unknown): void;
  /** Writes a value to stdout as JSON in one line. */
  printLine(value: unknown): void;
  /** Writes a line to stderr: everything that is not the result. */
  note(line: string): void;
  /**
   * Asks on stderr, and resolves to the line that a person types, without spaces
   * around it. `undefined` when no person is there: stdin or stderr is not a terminal.
   */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Calls `listener` when the reader of stdout has closed it, like `head` when it has its lines. */
  onClosed(listener: () => void): void;
}

/** The output streams; a part of `process`. */
export interface Streams {
  readonly stdin?: (Readable & { readonly isTTY?: boolean | undefined }) | undefined;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number;
  write(text: string): unknown;
  on(event: "error", listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/**
 * A screen over stdout and stderr. A reader that closes stdout is not an error:
 * further output is dropped, and the command ends.
 */
export function createScreen({ stdin, stdout, stderr }: Streams): Screen {
  const listeners: (() => void)[] = [];
  let closed = false;
  const write = (stream: OutputStream, text: string): void => {
    if (!closed || stream === stderr) stream.write(text);
  };
  stdout.on("error", (error) => {
    if (error.code !== "EPIPE") throw error;
    if (closed) return;
    closed = true;
    for (const listener of listeners) listener();
  });
  stderr.on("error", () => undefined);

  return {
    paint: picocolors.createColors(stdout.isTTY === true && picocolors.isColorSupported),
    get width() {
      return stdout.isTTY ? (stdout.columns ?? 80) : undefined;
    },
    print: (line = "") => write(stdout, `${line}\n`),
    printJson: (value) => write(stdout, `${JSON.stringify(value, null, 2)}\n`),
    printLine: (value) => write(stdout, `${JSON.stringify(value)}\n`),
    note: (line) => write(stderr, `${line}\n`),
    ask: stdin?.isTTY === true && stderr.isTTY === true ? (question) => askLine(stdin, stderr, question) : undefined,
    onClosed: (listener) => void listeners.push(listener),
  };
}

/** The end of stdin counts as an empty line. */
async function askLine(stdin: Readable, stderr: OutputStream, question: string): Promise<string> {
  stderr.write(question);
  const lines = createInterface({ input: stdin });
  const [line] = await Promise.race([once(lines, "line"), once(lines, "close")]);
  lines.close();
  return typeof line === "string" ? line.trim() : "";
}
