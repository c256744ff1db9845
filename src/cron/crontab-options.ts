import { checkJobSpec } from "../job/add/job-spec.ts";
import type { Duration } from "../runtime/duration.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import type { CronSpec } from "./cron.ts";
import { type Fail, shown } from "./field.ts";
import { parseFill } from "./fill.ts";
import { checkTimeZone } from "./time-zone.ts";
import type { Word } from "./words.ts";

/** The options of a line of a crontab. */
export interface CrontabOptions {
  readonly id?: string | undefined;
  readonly idOffset?: number;
  /** In milliseconds. */
  readonly fill?: number;
  readonly timeZone?: string | undefined;
  readonly spec: CronSpec;
}

/** Both spellings of every option, by the one that messages show. */
const SPELLINGS = {
  id: ["id"],
  fill: ["fill"],
  max: ["max"],
  queue: ["queue"],
  jobKey: ["jobKey", "job_key"],
  jobKeyMode: ["jobKeyMode", "job_key_mode"],
  priority: ["priority"],
  flags: ["flags"],
  timeout: ["timeout"],
  timeZone: ["timeZone", "time_zone", "tz"],
} as const satisfies Record<string, readonly string[]>;

type OptionName = keyof typeof SPELLINGS;
const NAMES = Object.keys(SPELLINGS) as OptionName[];

interface Found {
  readonly text: string;
  readonly offset: number;
}

/** Reads `?id=…&fill=…`. Values may be percent-encoded. `fail` is called with an offset into the line. */
export function readCrontabOptions(word: Word, fail: Fail): CrontabOptions {
  const found = split(word, fail);
  const { id } = found;
  const spec = {
    ...read(found.queue, (text) => ({ queueName: text })),
    ...read(found.max, (text, at) => ({ maxAttempts: toInteger(text, { name: "max", min: 1, at }, fail) })),
    ...read(found.jobKey, (text) => ({ jobKey: text })),
    ...read(found.jobKeyMode, (text, at) => ({ jobKeyMode: toJobKeyMode(text, at, fail) })),
    ...read(found.priority, (text, at) => ({
      priority: toInteger(text, { name: "priority", min: -32_768, at }, fail),
    })),
    ...read(found.flags, (text) => ({ flags: text.split(",") })),
    ...read(found.timeout, (text, at) => ({ timeout: toTimeout(text, at, fail) })),
  };
  return {
    ...(id ? { id: id.text, idOffset: id.offset } : {}),
    ...read(found.fill, (text, at) => ({ fill: toFill(text, at, fail) })),
    ...read(found.timeZone, (text, at) => ({ timeZone: toTimeZone(text, at, fail) })),
    spec,
  };
}

function split(word: Word, fail: Fail): { readonly [Name in OptionName]?: Found } {
  const found: { [Name in OptionName]?: Found } = {};
  let offset = word.offset + 1;
  for (const part of word.text.slice(1).split("&")) {
    const equals = part.indexOf("=");
    if (equals <= 0) fail(offset, `expected an option such as \`fill=1d\`, found ${shown(part)}`);
    const name = toName(part.slice(0, equals), offset, fail);
    if (found[name]) fail(offset, `the option \`${name}\` is given twice`);
    const at = offset + equals + 1;
    found[name] = { text: decode(part.slice(equals + 1), at, fail), offset: at };
    offset += part.length + 1;
  }
  return found;
}

function toName(written: string, offset: number, fail: Fail): OptionName {
  const name = NAMES.find((known) => (SPELLINGS[known] as readonly string[]).includes(written));
  if (name !== undefined) return name;
  return fail(offset, `unknown option ${shown(written)}${didYouMean(written, NAMES).replace(/[.]$/, "")}`);
}

function decode(text: string, offset: number, fail: Fail): string {
  if (text === "") return fail(offset, "expected a value after `=`, found nothing");
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return fail(offset, `expected %XX for what cannot be written as it is, found ${shown(text)}`);
  }
}

function read<T extends object>(option: Found | undefined, to: (text: string, offset: number) => T): T | object {
  return option ? to(option.text, option.offset) : {};
}

interface IntegerOption {
  readonly name: string;
  readonly min: number;
  readonly at: number;
}

function toInteger(text: string, { name, min, at }: IntegerOption, fail: Fail): number {
  const value = Number(text);
  if (/^-?\d{1,5}$/.test(text) && value >= min && value <= 32_767) return value;
  return fail(at, `expected a whole number from ${min} to 32767 for \`${name}\`, found ${shown(text)}`);
}

function toJobKeyMode(text: string, at: number, fail: Fail): "replace" | "preserve_run_at" {
  if (text === "replace" || text === "preserve_run_at") return text;
  return fail(at, `expected \`replace\` or \`preserve_run_at\` for \`jobKeyMode\`, found ${shown(text)}`);
}

function toFill(text: string, at: number, fail: Fail): number {
  const fillMs = parseFill(text);
  if (fillMs !== undefined) return fillMs;
  return fail(at, `expected a length of time such as \`4w3d2h1m\` for \`fill\`, found ${shown(text)}`);
}

function toTimeout(text: string, at: number, fail: Fail): Duration {
  try {
    checkJobSpec({ timeout: text }, "a crontab");
    return text as Duration;
  } catch {
    return fail(at, `expected a duration such as \`30s\`, from 1ms to 24d, for \`timeout\`, found ${shown(text)}`);
  }
}

function toTimeZone(text: string, at: number, fail: Fail): string {
  try {
    return checkTimeZone(text);
  } catch (error) {
    const { message } = error as Error;
    return fail(at, message.charAt(0).toLowerCase() + message.slice(1).replace(/[.]$/, ""));
  }
}
