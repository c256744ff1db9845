import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { type CronField, type Fail, FIELD_KINDS, parseField } from "./field.ts";
import { readNickname } from "./nicknames.ts";
import { splitWords, type Word } from "./words.ts";

/** A parsed cron expression. */
export interface CronExpression {
  /** The fields as they were written, separated by single spaces. */
  readonly text: string;
  /** Second 0 when it has five fields. */
  readonly second: CronField;
  readonly minute: CronField;
  readonly hour: CronField;
  readonly day: CronField;
  readonly month: CronField;
  readonly weekday: CronField;
}

/** How many fields an expression has without seconds, and with them. */
export const FIELD_COUNTS = { withoutSeconds: 5, withSeconds: 6 } as const;

const SECOND_ZERO: CronField = { values: [0], isFull: false, isWild: false };

/**
 * Reads an expression of five fields, or of six with seconds before them.
 * Throws `HOWDAH_CRON_INVALID` with the column and what was expected there.
 */
export function parseExpression(given: unknown): CronExpression {
  const fail: Fail = (offset, message) => {
    throw new HowdahError("HOWDAH_CRON_INVALID", `Column ${offset + 1} of the schedule ${quoted(given)}: ${message}.`);
  };
  if (typeof given !== "string") {
    throw new HowdahError("HOWDAH_CRON_INVALID", `A schedule must be a text, found ${describeValue(given)}.`);
  }
  const written = splitWords(given);
  const words = expand(written, fail);
  const { withoutSeconds, withSeconds } = FIELD_COUNTS;
  if (words.length < withoutSeconds) {
    fail(given.trimEnd().length, `expected ${withoutSeconds} fields or ${withSeconds}, found ${words.length}`);
  }
  if (words !== written && written.length > 1) fail(written[1]?.offset ?? 0, "expected nothing after a nickname");
  if (words.length > withSeconds) fail(words[withSeconds]?.offset ?? 0, `expected no more than ${withSeconds} fields`);
  return parseFields(words, fail);
}

/** The words of an expression, with a nickname such as `@daily` in place of five fields turned into these. */
export function expand(words: readonly Word[], fail: Fail): readonly Word[] {
  const [first] = words;
  const nickname = first && readNickname(first.text);
  if (!nickname) return words;
  if ("problem" in nickname) return fail(first.offset, nickname.problem);
  return [...nickname.fields.split(" ").map((text) => ({ text, offset: first.offset })), ...words.slice(1)];
}

/** Reads five or six words as the fields of an expression. `fail` is called with an offset into their line. */
export function parseFields(words: readonly Word[], fail: Fail): CronExpression {
  const hasSeconds = words.length === FIELD_COUNTS.withSeconds;
  const read = (index: number, kind: keyof typeof FIELD_KINDS): CronField => {
    const { text, offset } = words[index + (hasSeconds ? 1 : 0)] ?? { text: "", offset: 0 };
    return parseField(text, FIELD_KINDS[kind], (inside, message) => fail(offset + inside, message));
  };
  return {
    text: words.map(({ text }) => text).join(" "),
    second: hasSeconds ? read(-1, "second") : SECOND_ZERO,
    minute: read(0, "minute"),
    hour: read(1, "hour"),
    day: read(2, "day"),
    month: read(3, "month"),
    weekday: read(4, "weekday"),
  };
}

function quoted(given: unknown): string {
  return typeof given === "string" && given.length <= 100 ? `"${given}"` : "given";
}
