import type { Option } from "commander";
import type { Screen } from "./screen.ts";

/** What every command can be told. */
export interface GlobalOptions {
  readonly databaseUrl?: string;
  readonly schema?: string | undefined;
  readonly json?: boolean;
}

/** One call of a command. */
export interface Call {
  readonly screen: Screen;
  readonly globals: GlobalOptions;
  readonly arguments: readonly string[];
  /** Its own options by their name in camelCase. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** A command of `howdah`. Each lies in a file of its own in `commands/`, all of them are listed in `commands.ts`. */
export interface CliCommand {
  /** Its name and arguments, such as `show <id>`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Shown below its help. */
  readonly examples: readonly string[];
  readonly options?: readonly Option[];
  /** Rejects when it fails; whoever called says so. */
  run(call: Call): Promise<void>;
}
