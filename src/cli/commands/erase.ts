import { Option } from "commander";
import type { EraseResult } from "../../client/erasing.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { HowdahError } from "../../errors.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";

/** `howdah erase`: erases the jobs of a key, and what was kept of them. */
export const eraseCommand: CliCommand = {
  usage: "erase",
  summary: "erase the jobs of a key or of all keys that begin alike, with everything that was kept of them",
  examples: ["howdah erase --key user:17 --yes", "howdah erase --key-prefix user:17: --yes"],
  options: [
    new Option("--key <key>", "the key of a job").conflicts("keyPrefix"),
    new Option("--key-prefix <prefix>", "what keys begin with"),
    new Option("--yes", "do not ask"),
  ],
  async run({ screen, globals, options }) {
    const { key, keyPrefix, yes } = options as EraseFlags;
    if (key === undefined && keyPrefix === undefined)
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Say whose jobs: --key or --key-prefix.");
    const what = key === undefined ? `of all keys that begin with ${keyPrefix}` : `of the key ${key}`;
    if (yes !== true && !(await agrees(screen, printable(what)))) return;
    const erased = await withClient(globals, (client) => client.eraseJobs({ key, keyPrefix }));
    if (globals.json) screen.printJson(erased);
    else print(screen, erased);
  },
};

interface EraseFlags {
  readonly key?: string;
  readonly keyPrefix?: string;
  readonly yes?: boolean;
}

/** Asks the person at the terminal. Throws `HOWDAH_OPTION_INVALID` when there is none. */
async function agrees(screen: Screen, what: string): Promise<boolean> {
  if (screen.ask === undefined)
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Everything ${what} would be erased. Add --yes to do it.`);
  if (/^y(es)?$/i.test(await screen.ask(`Erase everything ${what}? It cannot be undone. [y/N] `))) return true;
  screen.note("Nothing was erased.");
  return false;
}

function print(screen: Screen, { jobs, history, attempts, logLines, running }: EraseResult): void {
  const parts = [
    formatCount(jobs, "job"),
    `${formatCount(history, "job")} of the history`,
    formatCount(attempts, "failed attempt"),
    formatCount(logLines, "line"),
  ];
  screen.print(`Erased ${parts.join(", ")}.`);
  if (running.length > 0)
    screen.note(`These run, and were told to stop: ${running.join(", ")}. Call it again when they have ended.`);
}
