import { isDeepStrictEqual } from "node:util";

/**
 * Whether a value that was JSON has what `wanted` asks for: each property of an
 * object, each item of a list, and the same of anything else. What `wanted`
 * holds is taken as JSON takes it, a date as its text.
 */
export function isLike(found: unknown, wanted: unknown): boolean {
  if (isMatcher(wanted)) return wanted.asymmetricMatch(found);
  if (wanted instanceof RegExp) return typeof found === "string" && found.search(wanted) >= 0;
  const json = hasToJson(wanted) ? wanted.toJSON() : wanted;
  if (Array.isArray(json)) {
    return Array.isArray(found) && found.length === json.length && json.every((item, at) => isLike(found[at], item));
  }
  if (typeof json !== "object" || json === null) return isDeepStrictEqual(found, json);
  if (typeof found !== "object" || found === null || Array.isArray(found)) return false;
  return Object.entries(json).every(([name, value]) => isLike((found as Record<string, unknown>)[name], value));
}

/** What a payload is asked for: any part of its objects, with patterns and matchers in the place of values. */
export type Like<T> =
  | AsymmetricMatcher
  | (T extends string
      ? T | RegExp
      : T extends readonly (infer Item)[]
        ? readonly Like<Item>[]
        : T extends object
          ? { readonly [Name in keyof T]?: Like<T[Name]> | undefined }
          : T);

/** What `expect.any(…)`, `expect.stringContaining(…)` and the like give. */
export interface AsymmetricMatcher {
  /** Whether what was found is what the matcher stands for. */
  asymmetricMatch(found: unknown): boolean;
}

function isMatcher(wanted: unknown): wanted is AsymmetricMatcher {
  return typeof (wanted as Partial<AsymmetricMatcher> | null | undefined)?.asymmetricMatch === "function";
}

function hasToJson(wanted: unknown): wanted is { toJSON(): unknown } {
  return typeof (wanted as { readonly toJSON?: unknown } | null | undefined)?.toJSON === "function";
}
