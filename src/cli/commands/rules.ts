import { InvalidArgumentError, Option } from "commander";
import type { Client } from "../../client/client.ts";
import type { QueuePool, QueueRule } from "../../client/queue-rules.ts";
import { HowdahError } from "../../errors.ts";
import type { PoolRules, QueueRate, QueueRules } from "../../job/queue-rules.ts";
import type { Duration } from "../../runtime/duration.ts";
import { didYouMean } from "../../runtime/suggestion.ts";
import type { Call, CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import { printTable } from "../table.ts";

/** `howdah rules`: lists, sets and removes the limits and rates of queues and pools. */
export const rulesCommand: CliCommand = {
  usage: "rules <action> [name]",
  summary: "list, set or remove limits and rates of queues and pools",
  examples: [
    "howdah rules list",
    "howdah rules set 'tenant:*' --concurrency 5 --rate 100/1m --burst 20",
    "howdah rules remove 'tenant:*'",
    "howdah rules set-pool api --concurrency 50",
    "howdah rules remove-pool api",
  ],
  options: [
    new Option("--concurrency <number>", 'how many jobs run at once, or "unlimited"').argParser(parseConcurrency),
    new Option("--rate <limit/time>", "how many jobs start in a time, such as 100/1m").argParser(parseRate),
    new Option("--burst <number>", "how many may start at once after a rest").argParser(Number),
    new Option("--share <number>", "how many jobs of a queue start in its turn").argParser(Number),
    new Option("--pool <name>", "the pool of the queues"),
  ],
  async run(call) {
    const { globals, arguments: given } = call;
    const [action = "", name] = given;
    const perform = ACTIONS[action as keyof typeof ACTIONS];
    if (!Object.hasOwn(ACTIONS, action))
      throw invalid(`Unknown action ${JSON.stringify(action)}${didYouMean(action, Object.keys(ACTIONS))}`);
    if (action !== "list" && name === undefined)
      throw invalid(
        `Name the ${action.endsWith("pool") ? "pool" : "queue or pattern"}: \`howdah rules ${action} NAME\`.`,
      );
    const stray = Object.keys(call.options).find((option) => !TAKEN[action]?.includes(option));
    if (stray !== undefined) throw invalid(`Option --${stray} does not go with \`howdah rules ${action}\`.`);
    await withClient(globals, (client) => perform(client, name ?? "", call));
  },
};

const ACTIONS = { list, set, remove, "set-pool": setPool, "remove-pool": removePool };

/** The options that each action takes. */
const TAKEN: Readonly<Record<string, readonly string[]>> = {
  set: ["concurrency", "rate", "burst", "share", "pool"],
  "set-pool": ["concurrency", "rate", "burst"],
};

async function list(client: Client, _name: string, { screen, globals }: Call): Promise<void> {
  const { rules, pools } = await client.listQueueRules();
  if (globals.json) return screen.printJson({ rules, pools });
  printTable(screen, {
    none: "No rules.",
    columns: [
      { title: "QUEUES", flexible: true, text: ({ name }) => printable(name) },
      { title: "CONCURRENCY", align: "right", text: ({ concurrency }) => String(concurrency ?? "") },
      { title: "RATE", text: ({ rate }) => (rate === undefined ? "" : describeRate(rate)) },
      { title: "SHARE", align: "right", text: ({ share }) => String(share ?? "") },
      { title: "POOL", flexible: true, text: ({ pool }) => printable(pool ?? "") },
      { title: "SET BY", text: ({ setBy }) => setBy },
    ],
    rows: [...rules.map(toRow), ...pools.map(toPoolRow)],
  });
}

async function set(client: Client, pattern: string, { screen, globals, options }: Call): Promise<void> {
  const { share, pool } = options as { share?: number; pool?: string };
  const result = await client.setQueueRules(pattern, { ...toPoolRules(options), share, pool });
  if (globals.json) return screen.printJson({ pattern, ...result });
  screen.print(`The rules of ${quoted(pattern)} ${result.changed ? "are set" : "were like that"}.`);
  if (result.waiting > 0) screen.note(WAITING);
}

async function remove(client: Client, pattern: string, { screen, globals }: Call): Promise<void> {
  const result = await client.setQueueRules(pattern, null);
  if (globals.json) return screen.printJson({ pattern, ...result });
  screen.print(
    result.changed ? `The rules of ${quoted(pattern)} are removed.` : `There were no rules of ${quoted(pattern)}.`,
  );
  if (result.waiting > 0) screen.note(WAITING);
}

async function setPool(client: Client, name: string, { screen, globals, options }: Call): Promise<void> {
  const changed = await client.setQueuePool(name, toPoolRules(options));
  if (globals.json) screen.printJson({ name, changed });
  else screen.print(`The pool ${quoted(name)} ${changed ? "is set" : "was like that"}.`);
}

async function removePool(client: Client, name: string, { screen, globals }: Call): Promise<void> {
  const changed = await client.setQueuePool(name, null);
  if (globals.json) screen.printJson({ name, changed });
  else screen.print(changed ? `The pool ${quoted(name)} is removed.` : `There was no pool ${quoted(name)}.`);
}

const WAITING = "Some queues still run jobs: they get their rules when these have ended.";

interface Row extends QueueRules {
  readonly name: string;
  readonly setBy: string;
}

function toRow({ pattern, isDeclared, ...rules }: QueueRule): Row {
  return { ...rules, name: pattern, setBy: isDeclared ? "workers" : "a call" };
}

function toPoolRow({ name, ...rules }: QueuePool): Row {
  return { ...rules, name: `pool ${name}`, setBy: "a call" };
}

function toPoolRules(options: Call["options"]): PoolRules {
  const { concurrency, rate, burst } = options as PoolRules & { readonly burst?: number };
  if (burst !== undefined && rate === undefined) throw invalid("Option --burst goes with --rate only.");
  return { concurrency, rate: rate && { ...rate, burst } };
}

function describeRate({ limit, per, burst }: QueueRate): string {
  const time = typeof per === "number" ? `${per}ms` : per;
  return `${limit}/${time}, burst ${burst ?? 1}`;
}

function parseConcurrency(text: string): number | "unlimited" {
  return text === "unlimited" ? text : Number(text);
}

function parseRate(text: string): QueueRate {
  const [, limit, per] = /^(\d+)\/(\S+)$/.exec(text) ?? [];
  if (limit === undefined || per === undefined) {
    throw new InvalidArgumentError("It has to be a number and a time, such as 100/1m or 5/30s.");
  }
  return { limit: Number(limit), per: (/^\d/.test(per) ? per : `1${per}`) as Duration };
}

function quoted(name: string): string {
  return printable(JSON.stringify(name));
}

function invalid(message: string): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", message);
}
