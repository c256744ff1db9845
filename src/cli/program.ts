import { readFileSync } from "node:fs";
import { Command } from "commander";
import picocolors from "picocolors";
import type { CliCommand, GlobalOptions } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { GLOBAL_OPTIONS, respell } from "./global-options.ts";
import type { Screen } from "./screen.ts";

const ENVIRONMENT = `
Environment:
  DATABASE_URL       the database, when --database-url is not given
  HOWDAH_SCHEMA      the schema, when --schema is not given
  HOWDAH_LOG         silent, error, warn, info or debug; with debug, errors come with a stack trace
  HOWDAH_LOG_FORMAT  text or json: how the lines of the log on stderr are written
  NO_COLOR           no colours`;

/** The command line as a program, which rejects with a `CommanderError` for invalid input. */
export function createProgram(screen: Screen): Command {
  const program = new Command("howdah")
    .description("A job queue on PostgreSQL: manage its schema and its jobs.")
    .version(readVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help for a command")
    .helpCommand("help [command]", "print help for a command")
    .addHelpText("after", ENVIRONMENT)
    .configureHelp({ styleTitle: (title) => picocolors.bold(title), showGlobalOptions: true })
    // The caller catches the error and prints it in one line.
    .configureOutput({ writeOut: (text) => screen.print(text.trimEnd()), outputError: () => undefined })
    .exitOverride();
  for (const option of GLOBAL_OPTIONS) program.addOption(option);
  for (const command of COMMANDS) addCommand(program, command, screen);
  return program;
}

/**
 * Runs the command in `argv`, which is like `process.argv`. Help for an unknown
 * command is an error, too.
 */
export async function runProgram(screen: Screen, argv: readonly string[]): Promise<void> {
  const words = respell(argv.slice(2));
  const [first, second] = createProgram(screen).parseOptions(words).operands;
  const name = first === "help" ? second : first;
  const program = createProgram(screen);
  const isKnown = name === undefined || name === "help" || program.commands.some((command) => command.name() === name);
  await program.parseAsync(isKnown ? words : [name], { from: "user" });
}

function addCommand(program: Command, command: CliCommand, screen: Screen): void {
  const added = program.command(command.usage).description(command.summary);
  added.exitOverride((error) => {
    throw Object.assign(error, { command: added.name() });
  });
  for (const option of command.options ?? []) added.addOption(option);
  added.addHelpText("after", `\nExamples:\n${command.examples.map((example) => `  ${example}`).join("\n")}`);
  added.action(() =>
    command.run({
      screen,
      globals: program.opts<GlobalOptions>(),
      arguments: added.args,
      options: added.opts(),
    }),
  );
}

function readVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
