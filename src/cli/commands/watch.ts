import { Option } from "commander";
import type { Client } from "../../client/client.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Call, CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import { readFacts } from "../watch/facts.ts";
import { LOOK_MS, WatchScreen } from "../watch/watch.ts";
import { initialWatch, look, TABS, type Tab } from "../watch/watch-state.ts";
import { viewOf } from "../watch/watch-view.ts";

/** `howdah watch`: the queue on the whole terminal, as it changes. */
export const watchCommand: CliCommand = {
  usage: "watch",
  summary: "watch tasks, queues, workers and jobs on the whole terminal",
  examples: ["howdah watch", "howdah watch --once --tab failed", "howdah watch --once --json | jq .stats.ready.value"],
  options: [
    new Option("--tab <name>", "the list to begin with").choices(TABS).default("tasks"),
    new Option("--once", "print what is there now, and end"),
  ],
  run: (call) =>
    withClient(call.globals, (client, { target, waiting }) => {
      if (call.options["once"] !== true) waiting.cancel();
      return watch(client, call, target);
    }),
};

async function watch(client: Client, { screen, globals, options }: Call, target: string): Promise<void> {
  const { tab, once } = options as { readonly tab: Tab; readonly once?: boolean };
  const title = `${printable(target)}/${printable(globals.schema ?? process.env["HOWDAH_SCHEMA"] ?? "howdah")}`;
  const isPlain = process.env["TERM"] === "dumb";
  const { stdin, stdout } = process;
  if (once !== true && globals.json !== true && stdin.isTTY && stdout.isTTY && !isPlain)
    return new WatchScreen(
      { client, clock: systemClock },
      { stdin, stdout },
      { paint: screen.paint, title, isPlain },
    ).run();
  let isClosed = false;
  screen.onClosed(() => (isClosed = true));
  for (let state = { ...initialWatch, tab }; ; await systemClock.sleep(LOOK_MS)) {
    const facts = await readFacts(client, systemClock);
    if (isClosed) return;
    state = look(state, facts);
    const size = { columns: screen.width ?? 120, rows: stdout.rows ?? 40, isPlain: isPlain || !stdout.isTTY };
    if (globals.json) screen.printLine(facts);
    else screen.print(trimmed(viewOf(state, size, { paint: screen.paint, title, now: facts.at })));
    if (once === true) return;
  }
}

/** Without the empty lines below the list. */
function trimmed(lines: readonly string[]): string {
  return lines.filter((line, index) => line !== "" || index === 1).join("\n");
}
