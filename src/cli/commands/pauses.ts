import { Option } from "commander";
import type { Client } from "../../client/client.ts";
import type { Pause } from "../../client/control.ts";
import type { Count } from "../../client/counts.ts";
import type { QueueListOptions } from "../../client/inspect.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { describeHolder } from "../../client/views/holder.ts";
import type { OpenClient } from "../../client/create-client.ts";
import { withHowdahErrors } from "../../postgres/database-error.ts";
import { HowdahError } from "../../errors.ts";
import { listQueueNames } from "../../postgres/queries/list-queues.ts";
import { listMissingNames } from "../../postgres/queries/missing-names.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Call, CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import { parseLimit } from "../values.ts";
import { didYouMean, suggestName } from "../../runtime/suggestion.ts";
import { printTable } from "../table.ts";

/** `howdah queues list|pause|resume`: lists named queues and pauses them. */
export const queuesCommand = pausesCommand("queues", "queue", {
  summary: "list, pause or resume named queues",
  listOptions: [
    new Option("--search <text>", "list only queues with this in their name"),
    new Option("--paused", "list only queues that are paused"),
    new Option("--locked", "list only queues that a worker holds, or of which a lane is taken"),
    new Option("--with-jobs", "list only queues with jobs that may still run"),
    new Option("--limit <number>", "how many at most, 1 to 1000").argParser(parseLimit),
    new Option("--after <next>", "the next page: what the page before printed"),
  ],
  async list(client, { screen, globals, options }) {
    const { queues, next } = await client.listQueues(toQueueOptions(options));
    if (globals.json) return screen.printJson({ queues, next: next ?? null });
    if (next !== undefined) screen.note(`There are more queues; next page: --after ${JSON.stringify(next)}`);
    printTable(screen, {
      none: "No queues.",
      columns: [
        { title: "QUEUE", flexible: true, text: ({ name }) => printable(name) },
        {
          title: "JOBS",
          align: "right",
          text: ({ jobCount }) => describeCapped(jobCount),
          plain: ({ jobCount }) => String(jobCount.value),
        },
        {
          title: "READY",
          align: "right",
          text: ({ readyCount }) => describeCapped(readyCount),
          plain: ({ readyCount }) => String(readyCount.value),
        },
        { title: "HELD BY", flexible: true, dispensable: 1, text: (queue) => printable(describeHolder(queue)) },
        {
          title: "PAUSED",
          text: ({ isPaused, pausedUntil }) => (isPaused ? describeEnd(pausedUntil) : ""),
          plain: ({ isPaused, pausedUntil }) => (isPaused ? endOf(pausedUntil) : ""),
          tint: (text) => screen.paint.yellow(text),
        },
      ],
      rows: queues,
    });
  },
  // Not with `listQueues()`, which reads the table of jobs: queues are paused when that is large.
  async check({ driver, schema }, name) {
    const names = await withHowdahErrors(schema, async () => {
      const { queues } = await listMissingNames(driver, schema, { tasks: [], queues: [name] });
      return queues.length === 0 ? undefined : await listQueueNames(driver, schema);
    });
    if (names === undefined) return;
    const suggestion = suggestName(name, names);
    const hint = suggestion === undefined ? "" : ` Did you mean ${JSON.stringify(suggestion)}?`;
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `There is no queue ${JSON.stringify(name)} yet.${hint} With --future it is paused anyway.`,
    );
  },
  pause: (client, name, options) => client.pauseQueue(name, options),
  resume: (client, name) => client.resumeQueue(name),
});

/** What can be paused, and how. */
interface Pausable {
  readonly summary: string;
  /** Options of `list`. */
  readonly listOptions?: readonly Option[];
  list(client: Client, call: Call): Promise<void>;
  /** Throws when there is none of this name yet, unless that cannot be known. */
  check?(ground: OpenClient, name: string): Promise<void>;
  pause(client: Client, name: string, options: { readonly until?: string }): Promise<Pause>;
  resume(client: Client, name: string): Promise<boolean>;
}

/** `howdah tasks list|pause|resume`: pauses tasks, and lists those that are paused. */
export const tasksCommand = pausesCommand("tasks", "task", {
  summary: "pause or resume tasks, or list those that are paused",
  async list(client, { screen, globals }) {
    const { tasks } = await client.listPauses();
    if (globals.json) return screen.printJson(tasks);
    printTable(screen, {
      none: "No task is paused.",
      columns: [
        { title: "TASK", flexible: true, text: ({ name }) => printable(name) },
        { title: "PAUSED", text: ({ until }) => describeEnd(until), plain: ({ until }) => endOf(until) },
      ],
      rows: tasks,
    });
  },
  pause: (client, name, options) => client.pauseTask(name, options),
  resume: (client, name) => client.resumeTask(name),
});

const ACTIONS = ["list", "pause", "resume"];

function pausesCommand(plural: string, singular: string, pausable: Pausable): CliCommand {
  return {
    usage: `${plural} <action> [name]`,
    summary: pausable.summary,
    examples: [
      `howdah ${plural} list`,
      `howdah ${plural} pause NAME --until 2030-01-31T08:00:00Z`,
      `howdah ${plural} resume NAME`,
    ],
    options: [
      new Option("--until <time>", "the end of the pause, in ISO 8601 with its offset"),
      ...(pausable.listOptions ?? []),
      ...(pausable.check ? [new Option("--future", `also pause a ${singular} that does not exist yet`)] : []),
    ],
    async run(call) {
      const { screen, globals, arguments: given, options } = call;
      const [action = "", name] = given;
      const until = options["until"] as string | undefined;
      check({ plural, singular, action, name, until });
      if (action !== "list") checkNoneOf(pausable.listOptions ?? [], options, plural);
      await withClient(globals, async (client, ground) => {
        if (action === "list") return pausable.list(client, call);
        if (action === "pause") {
          if (options["future"] !== true) await pausable.check?.(ground, name ?? "");
          const paused = await pausable.pause(client, name ?? "", until === undefined ? {} : { until });
          return globals.json ? screen.printJson(paused) : screen.print(describePause(singular, paused));
        }
        const resumed = await pausable.resume(client, name ?? "");
        if (globals.json) screen.printJson({ name, resumed });
        else screen.print(`${titleOf(singular, name ?? "")} ${resumed ? "is resumed" : "was not paused"}.`);
      });
    },
  };
}

interface Asked {
  readonly plural: string;
  readonly singular: string;
  readonly action: string;
  readonly name: string | undefined;
  readonly until: string | undefined;
}

function check({ plural, singular, action, name, until }: Asked): void {
  const refuse = (message: string): never => {
    throw new HowdahError("HOWDAH_OPTION_INVALID", message);
  };
  if (!ACTIONS.includes(action)) refuse(`Unknown action ${JSON.stringify(action)}${didYouMean(action, ACTIONS)}`);
  if (action !== "list" && name === undefined) refuse(`Name the ${singular}: \`howdah ${plural} ${action} NAME\`.`);
  if (action !== "pause" && until !== undefined) refuse(`Option --until goes with \`howdah ${plural} pause\` only.`);
}

function toQueueOptions({ search, paused, locked, withJobs, limit, after }: Call["options"]): QueueListOptions {
  return { search, isPaused: paused, isLocked: locked, hasJobs: withJobs, limit, after } as QueueListOptions;
}

/** Counts that are not exact are those that were not counted to the end. */
function describeCapped({ value, exact }: Count): string {
  return `${formatCount(value)}${exact ? "" : "+"}`;
}

function checkNoneOf(listOptions: readonly Option[], given: Call["options"], plural: string): void {
  const stray = listOptions.find((option) => given[option.attributeName()] !== undefined);
  if (stray)
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Option ${stray.long} goes with \`howdah ${plural} list\` only.`);
}

function describePause(singular: string, { name, until }: Pause): string {
  const title = titleOf(singular, name);
  if (until === null) return `${title} is paused until it is resumed.`;
  const isOver = until.getTime() <= systemClock.now();
  return isOver ? `${title} is not paused: that time has passed.` : `${title} is paused until ${until.toISOString()}.`;
}

function titleOf(singular: string, name: string): string {
  return `${singular.charAt(0).toUpperCase()}${singular.slice(1)} ${printable(JSON.stringify(name))}`;
}

/** The end of a pause for a program. */
function endOf(until: Date | null): string {
  return until?.toISOString() ?? "infinity";
}

function describeEnd(until: Date | null): string {
  return until === null ? "until resumed" : `until ${until.toISOString()}`;
}
