import { Option } from "commander";
import type { Client } from "../../client/client.ts";
import { describeWhen } from "../../client/views/when.ts";
import type { Schedule } from "../../cron/stored-schedule.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Call, CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { type Column, printTable } from "../table.ts";
import { didYouMean } from "../../runtime/suggestion.ts";

/** `howdah schedules list|pause|resume|trigger`: manages stored schedules. */
export const schedulesCommand: CliCommand = {
  usage: "schedules <action> [id]",
  summary: "list, pause, resume or trigger stored schedules",
  examples: [
    "howdah schedules list",
    "howdah schedules pause nightly --until 2030-01-31T08:00:00Z",
    "howdah schedules resume nightly",
    "howdah schedules trigger nightly",
  ],
  options: [new Option("--until <time>", "the end of the pause, in ISO 8601 with its offset")],
  async run(call) {
    const [action = "", id] = call.arguments;
    const work = ACTIONS[action];
    if (!work) {
      const ending = didYouMean(action, Object.keys(ACTIONS));
      throw new HowdahError("HOWDAH_OPTION_INVALID", `Unknown action ${JSON.stringify(action)}${ending}`);
    }
    if (action !== "list" && id === undefined) {
      throw new HowdahError("HOWDAH_OPTION_INVALID", `Name the schedule: \`howdah schedules ${action} ID\`.`);
    }
    if (action !== "pause" && call.options["until"] !== undefined) {
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --until goes with `howdah schedules pause` only.");
    }
    await withClient(call.globals, (client) => work(client, call, id ?? ""));
  },
};

type Action = (client: Client, call: Call, id: string) => Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = {
  async list({ schedules }, { screen, globals }) {
    const found = await schedules.list();
    if (globals.json) screen.printJson(found);
    else printTable(screen, { columns: columnsFor(screen), rows: found, none: "No schedules." });
  },
  async pause({ schedules }, { screen, globals, options }, id) {
    const until = options["until"] as string | undefined;
    const paused = await schedules.pause(id, until === undefined ? {} : { until });
    const end = paused.pausedUntil === null ? "until it is resumed" : `until ${paused.pausedUntil.toISOString()}`;
    say({ screen, globals }, paused, paused.isPaused ? `Paused ${end}.` : "Not paused: that time has passed.");
  },
  async resume({ schedules }, { screen, globals }, id) {
    const resumed = await schedules.resume(id);
    const { nextTick } = resumed;
    say({ screen, globals }, resumed, nextTick ? `Resumed; next at ${nextTick.toISOString()}.` : "Resumed.");
  },
  async trigger({ schedules }, { screen, globals }, id) {
    const job = await schedules.trigger(id);
    say({ screen, globals }, job, `Added job ${job.id} of task ${printable(job.task)}.`);
  },
};

function say({ screen, globals }: Pick<Call, "screen" | "globals">, result: unknown, sentence: string): void {
  if (globals.json) screen.printJson(result);
  else screen.print(sentence);
}

function columnsFor(screen: Screen): Column<Schedule>[] {
  const nowMs = systemClock.now();
  const when = (at: Date | null): string => (at === null ? "" : describeWhen(at, nowMs));
  return [
    { title: "ID", flexible: true, text: ({ id }) => printable(id) },
    { title: "TASK", flexible: true, text: ({ task }) => printable(task) },
    { title: "SCHEDULE", text: ({ schedule }) => printable(schedule) },
    { title: "ZONE", dispensable: 3, text: ({ timeZone }) => printable(timeZone) },
    {
      title: "LAST",
      dispensable: 2,
      text: ({ lastTick }) => when(lastTick),
      plain: ({ lastTick }) => lastTick?.toISOString() ?? "",
    },
    { title: "NEXT", text: ({ nextTick }) => when(nextTick), plain: ({ nextTick }) => nextTick?.toISOString() ?? "" },
    {
      title: "STATE",
      dispensable: 1,
      text: stateOf,
      tint: (text) => (text === "" ? text : screen.paint.yellow(text)),
    },
  ];
}

/** States that need attention. */
function stateOf({ isPaused, isTaskKnown }: Schedule): string {
  if (isPaused) return "paused";
  return isTaskKnown ? "" : "no worker knows the task";
}
