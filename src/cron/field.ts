import { didYouMean } from "../runtime/suggestion.ts";

/** Reports a mistake at an offset of the text, and does not return. */
export type Fail = (offset: number, message: string) => never;

/** One field of a cron expression. */
export interface CronField {
  /** Sorted, each once. */
  readonly values: readonly number[];
  /** It allows every value. */
  readonly isFull: boolean;
  /** It has a `*` or a step, or is full: the schedule recurs through the day rather than at set times of it. */
  readonly isWild: boolean;
}

/** The values that a field may have. */
export interface FieldKind {
  /** In the plural, for messages. */
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names by their value, beginning with `min`. */
  readonly names: readonly string[];
}

const MONTHS = "january february march april may june july august september october november december".split(" ");
const WEEKDAYS = "sunday monday tuesday wednesday thursday friday saturday".split(" ");

/** The fields of a cron expression, in their order. */
export const FIELD_KINDS = {
  second: { name: "seconds", min: 0, max: 59, names: [] },
  minute: { name: "minutes", min: 0, max: 59, names: [] },
  hour: { name: "hours", min: 0, max: 23, names: [] },
  day: { name: "days of the month", min: 1, max: 31, names: [] },
  month: { name: "months", min: 1, max: 12, names: MONTHS },
  weekday: { name: "days of the week", min: 0, max: 6, names: WEEKDAYS },
} as const satisfies Record<string, FieldKind>;

/** Both 0 and 7 are Sunday, so that `5-7` can be written. */
const SECOND_SUNDAY = 7;

/** Whether a word could be a field: one of numbers and `*`, or one that begins with the name of a day of the week. */
export function looksLikeField(word: string): boolean {
  if (/^[\d*][\d*,/a-z-]*$/i.test(word)) return true;
  const name = /^[a-z]+(?=[-,/]|$)/i.exec(word)?.[0];
  return name !== undefined && indexOfName(name, FIELD_KINDS.weekday) !== undefined;
}

/**
 * Reads a field: `*`, numbers and names, ranges, and steps over `*` or a range,
 * in a list with commas. `fail` is called with an offset into `text`.
 */
export function parseField(text: string, kind: FieldKind, fail: Fail): CronField {
  const values = new Set<number>();
  let isWild = false;
  let offset = 0;
  for (const item of text.split(",")) {
    const at = offset;
    const read = parseItem(item, kind, (inside, message) => fail(at + inside, message));
    isWild ||= read.isWild;
    for (let value = read.from; value <= read.to; value += read.step)
      values.add(value === top(kind) ? kind.min : value);
    offset += item.length + 1;
  }
  const isFull = values.size === kind.max - kind.min + 1;
  return { values: [...values].sort((a, b) => a - b), isFull, isWild: isWild || isFull };
}

/** The number that stands for `min` a second time, if there is one. */
function top(kind: FieldKind): number | undefined {
  return kind === FIELD_KINDS.weekday ? SECOND_SUNDAY : undefined;
}

interface Item {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly isWild: boolean;
}

function parseItem(item: string, kind: FieldKind, fail: Fail): Item {
  if (item === "") return fail(0, `expected a value for the ${kind.name}, found nothing`);
  const [base = "", stepText, ...more] = item.split("/");
  if (more.length > 0) fail(item.lastIndexOf("/"), `expected one step at most in the ${kind.name}`);
  const { from, to, isRange } = parseBase(base, kind, fail);
  if (stepText === undefined) return { from, to, step: 1, isWild: base === "*" };
  if (!isRange) fail(0, `a step needs \`*\` or a range before it: write ${from}-${kind.max}/${stepText}`);
  const step = parseStep(stepText, kind, (offset, message) => fail(base.length + 1 + offset, message));
  return { from, to, step, isWild: true };
}

function parseStep(text: string, kind: FieldKind, fail: Fail): number {
  const largest = kind.max - kind.min;
  const step = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (step >= 1 && step <= largest) return step;
  return fail(0, `expected a step from 1 to ${largest} in the ${kind.name}, found ${shown(text)}`);
}

function parseBase(base: string, kind: FieldKind, fail: Fail): { from: number; to: number; isRange: boolean } {
  if (base === "*") return { from: kind.min, to: kind.max, isRange: true };
  const dash = base.indexOf("-");
  if (dash <= 0) {
    const value = parseValue(base, kind, fail);
    return { from: value, to: value, isRange: false };
  }
  const from = parseValue(base.slice(0, dash), kind, fail);
  const last = base.slice(dash + 1);
  const found = parseValue(last, kind, (offset, message) => fail(dash + 1 + offset, message));
  // A range of names may end with Sunday; `5-0` is more likely a slip.
  const to = found < from && found === 0 && /[a-z]/i.test(last) ? SECOND_SUNDAY : found;
  if (to < from) fail(0, `the range ${base} of the ${kind.name} ends before it begins`);
  return { from, to, isRange: true };
}

function parseValue(text: string, kind: FieldKind, fail: Fail): number {
  if (/^\d+$/.test(text)) {
    const value = Number(text);
    if (value >= kind.min && value <= (top(kind) ?? kind.max)) return value;
    return fail(0, `${text} is out of range for the ${kind.name}; expected ${kind.min} to ${top(kind) ?? kind.max}`);
  }
  const index = indexOfName(text, kind);
  if (index !== undefined) return kind.min + index;
  const names = kind.names.length > 0 && /^[a-z]+$/i.test(text) ? didYouMean(text, kind.names) : "";
  const expected = `a number from ${kind.min} to ${top(kind) ?? kind.max}${kind.names.length > 0 ? ", a name" : ""}, a range or \`*\``;
  return fail(0, `expected ${expected} for the ${kind.name}, found ${shown(text)}${names.replace(/[.]$/, "")}`);
}

function indexOfName(text: string, { names }: FieldKind): number | undefined {
  const lower = text.toLowerCase();
  const index = names.findIndex((name) => name === lower || name.slice(0, 3) === lower);
  return index === -1 ? undefined : index;
}

/** A piece of the text, cut for a message. */
export function shown(text: string): string {
  return text === "" ? "nothing" : JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text);
}
