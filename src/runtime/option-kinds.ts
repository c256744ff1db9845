import { HowdahError } from "../errors.ts";
import { parseDuration, type Duration } from "./duration.ts";
import { invalidOption, isOptionsObject, optionLabel, readObject } from "./options.ts";
import type { Option, OptionPlace, OptionShape, OptionsOf, OptionSpellings } from "./options.ts";

interface Limits<D> {
  readonly min?: number;
  readonly max?: number | undefined;
  readonly default?: D;
}

/** A whole number within limits. Without a default it may be left out. */
export function integer<D extends number | undefined = undefined>(limits: Limits<D> = {}): Option<number | D> {
  return numeric("a whole number", Number.isSafeInteger, limits);
}

/** A finite number within limits. Without a default it may be left out. */
export function number<D extends number | undefined = undefined>(limits: Limits<D> = {}): Option<number | D> {
  return numeric("a number", Number.isFinite, limits);
}

function numeric<D>(kind: string, fits: (value: unknown) => boolean, limits: Limits<D>): Option<number | D> {
  const { min = -Infinity, max = Infinity } = limits;
  return checked<number, D>(
    `must be ${kind}${range(limits, "")}`,
    (value): value is number => fits(value) && (value as number) >= min && (value as number) <= max,
    limits.default,
  );
}

/** `true` or `false`. Without a default it may be left out. */
export function boolean<D extends boolean | undefined = undefined>(
  settings: { readonly default?: D } = {},
): Option<boolean | D> {
  return checked<boolean, D>(
    "must be true or false",
    (value): value is boolean => typeof value === "boolean",
    settings.default,
  );
}

/** A text that is not empty, at most `maxLength` characters long. Without a default it may be left out. */
export function string<D extends string | undefined = undefined>(
  settings: { readonly maxLength?: number; readonly default?: D } = {},
): Option<string | D> {
  const { maxLength = Infinity } = settings;
  return checked<string, D>(
    maxLength === Infinity ? "must be a text that is not empty" : `must be a text of 1 to ${maxLength} characters`,
    // Characters as PostgreSQL counts them; the length in UTF-16 is never smaller and cheaper, so it is checked first.
    (value): value is string =>
      typeof value === "string" && value !== "" && (value.length <= maxLength || Array.from(value).length <= maxLength),
    settings.default,
  );
}

/** A {@link Duration}, read as milliseconds: `ttl` becomes `ttlMs`. `min` and `max` are in milliseconds. */
export function duration<D extends Duration | undefined = undefined>(
  limits: Limits<D> = {},
): Option<D extends undefined ? number | undefined : number, "Ms"> {
  type Result = D extends undefined ? number | undefined : number;
  const { min = 0, max = Infinity } = limits;
  return {
    suffix: "Ms",
    read(given, place) {
      const value = given === undefined ? limits.default : given;
      if (value === undefined) return undefined as Result;
      const ms = parseDuration(value, optionLabel(place));
      if (ms < min || ms > max) throw invalidOption(place, `must be a duration${range(limits, " ms")}`, given);
      return ms;
    },
  };
}

/** One of a few texts. Without a default it may be left out. */
export function oneOf<const T extends string, D extends T | undefined = undefined>(
  allowed: readonly T[],
  settings: { readonly default?: D } = {},
): Option<T | D> {
  const names = allowed.map((name) => JSON.stringify(name)).join(", ");
  return checked<T, D>(
    `must be one of ${names}`,
    (value): value is T => (allowed as readonly unknown[]).includes(value),
    settings.default,
  );
}

/** A list, each entry read by `entry`. Default: an empty list. */
export function list<T>(entry: Option<T>): Option<readonly Exclude<T, undefined>[]> {
  return {
    suffix: "",
    read(given, place) {
      if (given === undefined) return [];
      if (!Array.isArray(given)) throw invalidOption(place, "must be a list", given);
      return Array.from(given as readonly unknown[], (value, index) => {
        const at = { owner: place.owner, path: `${place.path}[${index}]` };
        if (value === undefined) throw invalidOption(at, "must not be missing", value);
        return entry.read(value, at) as Exclude<T, undefined>;
      });
    },
  };
}

/** An object with options of its own. Left out, it is read as `{}`, so its defaults apply. */
export function nested<const Shape extends OptionShape>(shape: Shape): Option<OptionsOf<Shape>> {
  return { suffix: "", inner: shape, read: (given, place) => readObject(place, given, shape) };
}

/**
 * Something with options of its own that is on or off: `false` is off and
 * gives `undefined`, `true` is on with its defaults, an object is on. Default: off.
 */
export function switchable<const Shape extends OptionShape>(
  shape: Shape,
  settings: { readonly default?: boolean; readonly spellings?: OptionSpellings } = {},
): Option<OptionsOf<Shape> | undefined> {
  return {
    suffix: "",
    inner: shape,
    read(given, place) {
      const value = given ?? settings.default ?? false;
      if (value === false && given !== null) return undefined;
      if (value !== true && !isOptionsObject(value))
        throw invalidOption(place, "must be true, false or an object", given);
      return readObject({ ...place, spellings: settings.spellings }, value === true ? {} : value, shape);
    },
  };
}

/** A function, passed on as it is. It may be left out. */
// oxlint-disable-next-line typescript/no-explicit-any -- the widest type that every function fits
export function func<T extends (...args: any[]) => unknown>(): Option<T | undefined> {
  return checked<T, undefined>("must be a function", (value): value is T => typeof value === "function", undefined);
}

/** An object, passed on as it is; with `methods` it must have them. It may be left out. */
export function object<T extends object>(methods: readonly (keyof T & string)[] = []): Option<T | undefined> {
  const what = methods.length === 0 ? "" : ` with ${methods.map((name) => `${name}()`).join(", ")}`;
  return checked<T, undefined>(
    `must be an object${what}`,
    (value): value is T => isOptionsObject(value) && methods.every((name) => typeof (value as T)[name] === "function"),
    undefined,
  );
}

/** An option with rules of its own. `read` throws {@link invalidOption}; it is not called when the option is left out. */
export function custom<T>(read: (given: unknown, place: OptionPlace) => T): Option<T | undefined> {
  return { suffix: "", read: (given, place) => (given === undefined ? undefined : read(given, place)) };
}

/** The same option, but it must be given. */
export function required<T, Suffix extends string>(option: Option<T, Suffix>): Option<Exclude<T, undefined>, Suffix> {
  return {
    suffix: option.suffix,
    read(given, place) {
      if (given === undefined) throw new HowdahError("HOWDAH_OPTION_INVALID", `${optionLabel(place)} is required.`);
      return option.read(given, place) as Exclude<T, undefined>;
    },
  };
}

function checked<T, D>(allowed: string, fits: (value: unknown) => value is T, fallback: D | undefined): Option<T | D> {
  return {
    suffix: "",
    read(given, place) {
      if (given === undefined) return fallback as D;
      if (!fits(given)) throw invalidOption(place, allowed, given);
      return given;
    },
  };
}

function range({ min, max }: Limits<unknown>, unit: string): string {
  if (min !== undefined && max !== undefined) return ` from ${min}${unit} to ${max}${unit}`;
  if (min !== undefined) return ` of at least ${min}${unit}`;
  return max === undefined ? "" : ` of at most ${max}${unit}`;
}
