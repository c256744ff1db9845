import { createHash } from "node:crypto";
import { HowdahError } from "../../errors.ts";
import type { UniqueRule } from "../../postgres/queries/job-to-store.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { encodePayload } from "../payload.ts";
import { readDebounce, readUnique, type UniqueChoice } from "../read-unique.ts";
import type { KeyFunction, UniqueKey } from "../unique-options.ts";

/**
 * How a job is unique, as its spec says: `unique`, or `debounce`, which replaces
 * one that waits and lets it be due later. `undefined` when neither is given, or switched off.
 * Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID` for what is wrong in
 * them, and `HOWDAH_JOB_INVALID` for what contradicts them in the rest of the spec.
 */
export function readUniqueChoice(spec: UniqueSpec, subject: string): UniqueChoice | undefined {
  const { unique, debounce } = spec;
  const isUnique = unique !== undefined && unique !== false;
  const isDebounced = debounce !== undefined && debounce !== false;
  if (!isUnique && !isDebounced) return undefined;
  const name = isUnique ? "unique" : "debounce";
  const others = isUnique ? (["jobKeyMode", "debounce"] as const) : (["jobKeyMode", "runAt", "runIn"] as const);
  const contradicting = others.find((other) => spec[other] !== undefined && spec[other] !== false);
  if (contradicting !== undefined)
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`${name}\` of ${subject} says what \`${contradicting}\` would; give one of them.`,
    );
  const place = { owner: subject, path: name };
  const choice = isUnique ? readUnique(unique, place) : readDebounce(debounce, place);
  if (choice.by !== undefined && spec.jobKey !== undefined)
    throw new HowdahError("HOWDAH_JOB_INVALID", `\`${name}.by\` and \`jobKey\` of ${subject} are both given.`);
  return choice;
}

/** What a spec has to do with uniqueness. */
export type UniqueSpec = Partial<Record<"unique" | "debounce" | "jobKey" | "jobKeyMode" | "runAt" | "runIn", unknown>>;

/**
 * Takes out of a spec with its defaults what this very add takes the place of: its
 * own `unique`, `debounce`, time or key count for more than those that are defaults.
 */
export function withoutReplaced(merged: Record<string, unknown>, given: UniqueSpec): Record<string, unknown> {
  const { unique, debounce, jobKey, jobKeyMode, runAt, runIn } = given;
  const isTimed = runAt !== undefined || runIn !== undefined;
  const left = { ...merged };
  if (unique === undefined && (debounce !== undefined || jobKey !== undefined)) delete left["unique"];
  if (debounce === undefined && (unique !== undefined || jobKey !== undefined || isTimed)) delete left["debounce"];
  const isDebounced = left["debounce"] !== undefined && left["debounce"] !== false;
  const isUnique = left["unique"] !== undefined && left["unique"] !== false;
  if (isDebounced && !isTimed) {
    delete left["runAt"];
    delete left["runIn"];
  }
  if ((isDebounced || isUnique) && jobKeyMode === undefined) delete left["jobKeyMode"];
  return left;
}

/**
 * The key of a job and the rule it is stored by. `jobKey` is one that its spec gives.
 * Throws `HOWDAH_JOB_INVALID` when `by` throws, or does not say anything.
 */
export function toUnique(
  { by, rule }: UniqueChoice,
  { identifier, jobKey, payload, subject }: UniqueSubject,
): { readonly jobKey: string; readonly unique: UniqueRule } {
  if (jobKey !== null) return { jobKey, unique: rule };
  if (by === undefined) {
    const json = stableJson(JSON.parse(encodePayload(payload)));
    return { jobKey: `${identifier}:${hash(json)}`, unique: { ...rule, same: true } };
  }
  const told = tellKey(by, payload, subject);
  const end = typeof told === "string" ? told : stableJson(JSON.parse(encodePayload(told, `the key of ${subject}`)));
  return { jobKey: `${identifier}:${fits(end) ? end : hash(end)}`, unique: rule };
}

/** What a key is made of. */
export interface UniqueSubject {
  readonly identifier: string;
  readonly jobKey: string | null;
  /** As it was given, or replaced by an interceptor, without what is attached to it. */
  readonly payload: unknown;
  readonly subject: string;
}

function tellKey(by: KeyFunction<unknown>, payload: unknown, subject: string): UniqueKey {
  let told: UniqueKey | null | undefined;
  try {
    told = by(payload);
  } catch (error) {
    throw new HowdahError("HOWDAH_JOB_INVALID", `The function \`by\` of ${subject} failed.`, error);
  }
  if (told !== undefined && told !== null && told !== "") return told;
  throw new HowdahError(
    "HOWDAH_JOB_INVALID",
    `The function \`by\` of ${subject} returned ${describeValue(told)}; it has to say what tells the job apart.`,
  );
}

/** JSON whose objects have their properties in the order of their names. */
function stableJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** With an identifier of 128 characters before it, it is no longer than a key may be. */
const MAX_END_LENGTH = 380;

function fits(end: string): boolean {
  return end.length <= MAX_END_LENGTH && !/\0|\p{Surrogate}/u.test(end);
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
