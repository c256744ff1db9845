import { readDuration } from "../format/durations.ts";

/** What a filter can be about, the least specific first: what is dropped last to find more. */
export const FILTER_NAMES = [
  "state",
  "task",
  "queue",
  "worker",
  "age",
  "failed",
  "priority",
  "key",
  "error",
  "payload",
] as const;

/** What a condition is about. */
export type FilterName = (typeof FILTER_NAMES)[number];

/** One condition; `path` is that of a payload: `payload.account=17`. */
export interface Condition {
  readonly name: FilterName;
  readonly value: string;
  readonly path?: string;
}

/** What a text says, and what of it cannot be read. */
export interface ReadFilter {
  readonly conditions: readonly Condition[];
  readonly problems: readonly string[];
}

/** The states that jobs can have. */
export const STATES = ["ready", "scheduled", "running", "failed"] as const;

const NAMES: ReadonlySet<string> = new Set(FILTER_NAMES);

/** A word, perhaps with a part in quotation marks: `queue:"tenant 7"`. */
const WORD = /(?:[^\s"]|"(?:[^"\\]|\\.)*"?)+/g;

/** Reads `task:send_email queue:"tenant 7" payload.account=17 age:>5m`. A later condition replaces an earlier one. */
export function parseFilter(text: string): ReadFilter {
  const conditions = new Map<string, Condition>();
  const problems: string[] = [];
  for (const [word] of text.matchAll(WORD)) {
    const read = readWord(word);
    if (typeof read === "string") problems.push(read);
    else conditions.set(placeOf(read), read);
  }
  return { conditions: [...conditions.values()], problems };
}

/** The text that `parseFilter` reads as these conditions. */
export function filterText(conditions: readonly Condition[]): string {
  return conditions.map(conditionText).join(" ");
}

/** One condition as a person writes it, and as its chip shows it. */
export function conditionText({ name, path, value }: Condition): string {
  return `${name}${path === undefined ? ":" : `.${path}=`}${quoted(value)}`;
}

/** The conditions of an address: `?state=failed&payload.account=17`. What it cannot read it leaves out. */
export function filterOfQuery(query: string): readonly Condition[] {
  const conditions: Condition[] = [];
  for (const [key, value] of new URLSearchParams(query)) {
    const path = key.startsWith("payload.") ? key.slice("payload.".length) : undefined;
    const read =
      value === "" ? "" : checked(path === undefined ? { name: key, value } : { name: "payload", value, path });
    if (typeof read !== "string") conditions.push(read);
  }
  return conditions;
}

/** The same the other way round. */
export function queryOfFilter(conditions: readonly Condition[]): Readonly<Record<string, string>> {
  return Object.fromEntries(conditions.map((condition) => [placeOf(condition), condition.value]));
}

/** With a condition more, in the place of one about the same. */
export function withCondition(conditions: readonly Condition[], added: Condition): readonly Condition[] {
  return [...withoutCondition(conditions, added), added];
}

/** Without what it says about the same as this one. */
export function withoutCondition(conditions: readonly Condition[], removed: Condition): readonly Condition[] {
  return conditions.filter((condition) => placeOf(condition) !== placeOf(removed));
}

/** The condition without which most would be found: the most specific one; undefined of none. */
export function mostSpecific(conditions: readonly Condition[]): Condition | undefined {
  return conditions.toSorted((a, b) => FILTER_NAMES.indexOf(b.name) - FILTER_NAMES.indexOf(a.name))[0];
}

/** The filter as a sentence has it: `failed jobs of task send_email in queue "tenant 7"`. */
export function filterInWords(conditions: readonly Condition[]): string {
  const valueOf = (name: FilterName): string | undefined => conditions.find((one) => one.name === name)?.value;
  const part = (name: FilterName, text: (value: string) => string): string[] => {
    const value = valueOf(name);
    return value === undefined ? [] : [text(value)];
  };
  return [
    ...part("state", (value) => value),
    "jobs",
    ...part("task", (value) => `of task ${value}`),
    ...part("queue", (value) => `in queue ${value}`),
    ...part("worker", (value) => `that worker ${value} holds`),
    ...part("key", (value) => `with key ${value}`),
    ...part("priority", (value) => `of priority ${value}`),
    ...part("age", (value) => `added ${agoInWords(value)}`),
    ...part("failed", (value) => `that failed ${agoInWords(value)}`),
    ...part("error", (value) => `whose error contains "${value}"`),
    ...conditions
      .filter(({ name }) => name === "payload")
      .map(({ path, value }) => `with ${path} = ${value} in the payload`),
  ].join(" ");
}

/** The value of a payload condition as JSON: `17` and `true` as they are, all else as a text. */
export function payloadJson(conditions: readonly Condition[]): string | undefined {
  const parts = conditions
    .filter(({ name }) => name === "payload")
    .map(({ path = "", value }) => nested(path.split("."), value));
  if (parts.length === 0) return undefined;
  return parts.length === 1 ? parts[0] : mergeObjects(parts);
}

function readWord(word: string): Condition | string {
  const payload = /^payload\.([^=\s]+)=(.*)$/s.exec(word);
  if (payload) return checked({ name: "payload", path: payload[1] ?? "", value: unquoted(payload[2] ?? "") });
  const [, name, value] = /^([a-z]+):(.*)$/s.exec(word) ?? [];
  if (name !== undefined && value !== undefined && NAMES.has(name)) return checked({ name, value: unquoted(value) });
  const plain = unquoted(word);
  return `Say what ${quoted(plain)} is: task:, queue:, key: or error: in front of it.`;
}

function checked({ name, value, path }: { name: string; value: string; path?: string }): Condition | string {
  if (!NAMES.has(name)) return `There is no filter called ${name}.`;
  if (value === "") return `${name}: needs a value.`;
  if (name === "state" && !STATES.some((state) => state === value)) return `state: is one of ${STATES.join(", ")}.`;
  if (name === "priority" && !/^-?\d{1,5}$/.test(value)) return "priority: is a whole number.";
  if ((name === "age" || name === "failed") && readAge(value) === undefined)
    return `${name}: is a time such as >5m or <1h.`;
  if (name === "payload" && !path) return "A payload is searched as payload.account=17.";
  return { name: name as FilterName, value, ...(path === undefined ? {} : { path }) };
}

/** Reads `>5m` and `<1h`; undefined for what is none. */
export function readAge(value: string): { readonly ms: number; readonly isOlder: boolean } | undefined {
  const ms = /^[<>]/.test(value) ? readDuration(value.slice(1)) : undefined;
  return ms === undefined ? undefined : { ms, isOlder: value.startsWith(">") };
}

function agoInWords(value: string): string {
  return `${value.startsWith("<") ? "less" : "more"} than ${value.slice(1)} ago`;
}

function placeOf({ name, path }: Pick<Condition, "name" | "path">): string {
  return path === undefined ? name : `${name}.${path}`;
}

function quoted(value: string): string {
  return /[\s"]/.test(value) || value === "" ? `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"` : value;
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  return value
    .slice(1)
    .replace(/(?<!\\)"$/, "")
    .replaceAll(/\\(.)/g, "$1");
}

function nested([name = "", ...rest]: readonly string[], value: string): string {
  const inner = rest.length > 0 ? nested(rest, value) : literal(value);
  return `{${JSON.stringify(name)}:${inner}}`;
}

function literal(value: string): string {
  return /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(value) ? value : JSON.stringify(value);
}

/** Several payload conditions as one object; numbers stay as they were written. */
function mergeObjects(parts: readonly string[]): string {
  const inner = parts.map((part) => part.slice(1, -1));
  return `{${inner.join(",")}}`;
}
