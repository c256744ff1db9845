import { describeFailure } from "../../src/cli/failure.ts";
import { runProgram } from "../../src/cli/program.ts";
import { createScreen } from "../../src/cli/screen.ts";

/** What a call of the command line came to. */
export interface CliOutput {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Who sits at the terminal. */
export interface Person {
  ask?(question: string): Promise<string>;
  /** How wide the terminal is; without it stdout is a pipe. */
  readonly columns?: number;
}

/** Runs `howdah` in this process, which is much cheaper than a process of its own, as `main.ts` does. */
export async function runCli(args: readonly string[], person?: Person): Promise<CliOutput> {
  const [stdout, stderr] = [collector(person?.columns), collector()];
  const { ask } = person ?? {};
  const screen = { ...createScreen({ stdout, stderr }), ask: ask && ((question: string) => ask(question)) };
  const codeBefore = process.exitCode;
  try {
    await runProgram(screen, ["node", "howdah", ...args]);
    return { code: Number(process.exitCode ?? 0), out: stdout.text(), error: stderr.text() };
  } catch (error) {
    const { text, exitCode } = describeFailure(error, process.env);
    return { code: exitCode, out: stdout.text(), error: `${stderr.text()}${text === "" ? "" : `${text}\n`}` };
  } finally {
    process.exitCode = codeBefore;
  }
}

function collector(columns?: number) {
  const chunks: string[] = [];
  const terminal = columns === undefined ? {} : { isTTY: true, columns };
  return { ...terminal, write: (text: string) => chunks.push(text), on: () => undefined, text: () => chunks.join("") };
}

/** The words of a line that a shell would run, up to a pipe or a redirection. */
export function wordsOf(line: string): string[] {
  const [command = ""] = line.split(/ [|>] | {2}/);
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}
