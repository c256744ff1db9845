import type { JobExplanation } from "../../client/why/explain-job.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { readJobId } from "../values.ts";

/**
 * `howdah why <id>`: why a job does not run, and what mends that. A job that is
 * gone is one of the answers.
 */
export const whyCommand: CliCommand = {
  usage: "why <id>",
  summary: "say why one job does not run, and what to do about it",
  examples: ["howdah why 42", "howdah why 42 --json | jq -r '.reasons[0].code'"],
  async run({ screen, globals, arguments: [given = ""] }) {
    const id = readJobId(given);
    const explanation = await withClient(globals, (client) => client.explainJob(id));
    if (globals.json) screen.printJson(explanation);
    else printExplanation(screen, explanation);
  },
};

/** What counts first on top; below each reason what mends it. */
function printExplanation(screen: Screen, { reasons }: JobExplanation): void {
  const { dim } = screen.paint;
  for (const { message, remedy } of reasons) {
    // Errors and names in them come from elsewhere.
    screen.print(printable(message));
    screen.print(`  ${dim(printable(remedy))}`);
  }
}
