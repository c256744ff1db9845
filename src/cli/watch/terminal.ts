import { emitKeypressEvents } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import { systemClock } from "../../runtime/clock.ts";
import type { Key } from "./watch-state.ts";

/**
 * A terminal that is drawn on as a whole. What was on it before comes back at the
 * end, also when the process is stopped by a signal or sent to the background.
 */
export class Terminal {
  readonly #stdin: ReadStream;
  readonly #stdout: WriteStream;
  readonly #user: TerminalUser;
  #lines: readonly string[] = [];
  #isOpen = false;
  /** A signal has ended it, or it was closed: it is not taken over again. */
  #isOver = false;

  constructor({ stdin, stdout }: TerminalStreams, user: TerminalUser) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#user = user;
  }

  get columns(): number {
    return this.#stdout.columns;
  }

  get rows(): number {
    return this.#stdout.rows;
  }

  /** Takes the terminal over. */
  open(): void {
    emitKeypressEvents(this.#stdin);
    this.#stdin.on("keypress", this.#onKey).resume();
    this.#stdout.on("resize", this.#onResize);
    process.on("SIGCONT", this.#onResume);
    for (const signal of ENDING) process.once(signal, this.#onEnd);
    this.#enter();
  }

  /** Gives the terminal back. */
  close(): void {
    this.#isOver = true;
    this.#stdin.off("keypress", this.#onKey).pause();
    this.#stdout.off("resize", this.#onResize);
    process.off("SIGCONT", this.#onResume);
    for (const signal of ENDING) process.off(signal, this.#onEnd);
    if (this.#isOpen) this.#leave();
  }

  /** Writes the lines that have changed. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    const changed = lines.flatMap((line, index) =>
      line === this.#lines[index] ? [] : [`${ESCAPE}[${index + 1};1H${ESCAPE}[K${line}`],
    );
    this.#lines = lines;
    if (changed.length > 0) this.#stdout.write(changed.join(""));
  }

  #enter(): void {
    this.#stdin.setRawMode(true);
    this.#stdout.write(this.#isOpen ? CLEAR : ENTER);
    this.#isOpen = true;
    this.#lines = [];
  }

  #leave(): void {
    this.#isOpen = false;
    this.#stdin.setRawMode(false);
    this.#stdout.write(LEAVE);
  }

  readonly #onKey = (text: string | undefined, { name = "", ctrl = false }: KeyPress): void => {
    if (ctrl && name === "z") return this.#suspend();
    this.#user.pressed({ name, text: text ?? "", ctrl });
  };

  /**
   * In raw mode Ctrl-Z is a key like any other. It stops the whole group, as the
   * terminal does: `npx` stands between the shell and this process. A group that
   * no shell waits for is not stopped.
   */
  #suspend(): void {
    this.#leave();
    process.kill(0, "SIGTSTP");
    systemClock.setTimer(STOPPED_AFTER_MS, () => {
      if (!this.#isOpen) this.#onResume();
    });
  }

  /** A signal that ends the process may come together with the one that lets it go on. */
  readonly #onResume = (): void => {
    setImmediate(() => {
      if (this.#isOver) return;
      this.#enter();
      this.#user.resized();
    });
  };

  readonly #onResize = (): void => {
    this.#stdout.write(CLEAR);
    this.#lines = [];
    this.#user.resized();
  };

  readonly #onEnd = (): void => {
    this.#isOver = true;
    this.#user.ended();
  };
}

/** What a terminal is made of. */
export interface TerminalStreams {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
}

/** Who draws on a terminal. */
export interface TerminalUser {
  pressed(key: Key): void;
  resized(): void;
  /** A signal ends the process. */
  ended(): void;
}

interface KeyPress {
  readonly name?: string;
  readonly ctrl?: boolean;
}

const ENDING = ["SIGTERM", "SIGHUP", "SIGINT"] as const;

const ESCAPE = "\u001B";
const CLEAR = `${ESCAPE}[2J`;
/** The other buffer of the terminal, without a cursor, and without a second line for what is too wide. */
const ENTER = `${ESCAPE}[?1049h${ESCAPE}[?25l${ESCAPE}[?7l${CLEAR}`;
const LEAVE = `${ESCAPE}[?7h${ESCAPE}[?25h${ESCAPE}[?1049l`;

/** When a process that goes on without a stop knows that it was not stopped. */
const STOPPED_AFTER_MS = 200;
