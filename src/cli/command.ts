import type { Option } from "commander";
import type { Screen } from "./screen.ts";

/** The options of every command. */
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

/** A command of `howdah`. Each has a file of its own in `commands/`; `commands.ts` lists them. */
export interface CliCommand {
  /** Its name and arguments, such as `show <id>`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Shown below its help. */
  readonly examples: readonly string[];
  readonly options?: readonly Option[];
  /** Rejects when it fails; the caller reports the error. */
  run(call: Call): Promise<void>;
}
