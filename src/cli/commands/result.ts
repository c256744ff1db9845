import { Option } from "commander";
import type { Duration } from "../../runtime/duration.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printableLines } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { checkDuration, readJobId } from "../values.ts";

/** `howdah result <id>`: waits for the end of a job, and prints what its handler has returned. */
export const resultCommand: CliCommand = {
  usage: "result <id>",
  summary: "wait for the end of one job and print what its handler returned",
  examples: ["howdah result 42 --timeout 1m", "howdah result 42 --json | jq .result"],
  options: [
    new Option("--timeout <duration>", "fails after this time, such as 30s; default: waits for ever").argParser(
      checkDuration,
    ),
  ],
  async run({ screen, globals, arguments: [given = ""], options }) {
    const id = readJobId(given);
    const timeout = options["timeout"] as Duration | undefined;
    const result = await withClient(globals, (client, { waiting }) => {
      // What it waits for from now on is the job.
      waiting.cancel();
      return client.result(id, { timeout });
    });
    if (globals.json) screen.printJson({ id, result: result ?? null });
    else printResult(screen, result);
  },
};

function printResult(screen: Screen, result: unknown): void {
  if (result === undefined) screen.note("The handler returned nothing.");
  else screen.print(printableLines(JSON.stringify(result, null, 2)));
}
