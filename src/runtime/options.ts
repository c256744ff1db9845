import { HowdahError } from "../errors.ts";
import { describeValue } from "./describe-value.ts";
import { didYouMean } from "./suggestion.ts";

/** The place of an option, for messages: `{ owner: "worker", path: "localQueue.size" }`. */
export interface OptionPlace {
  readonly owner: string;
  readonly path: string;
  /** For names that are unknown there. */
  readonly hints?: OptionHints | undefined;
  /** Other names that are accepted there. */
  readonly spellings?: OptionSpellings | undefined;
}

/**
 * How one option is read; the kinds are in `option-kinds.ts`. `Suffix` is
 * appended to its name in the result, so
 * that a duration `ttl` comes out as `ttlMs`.
 */
export interface Option<T, Suffix extends string = ""> {
  /** Turns what was given, `undefined` when it was left out, into what the code uses. Throws `HOWDAH_OPTION_INVALID`. */
  read(given: unknown, place: OptionPlace): T;
  readonly suffix: Suffix;
  /** The options inside of it, if it is an object with options of its own. */
  readonly inner?: OptionShape;
}

/** A set of options. */
export type OptionShape = Readonly<Record<string, Option<unknown, string>>>;

/** Hints for unknown names that are common in other libraries; each ends a sentence. */
export type OptionHints = Readonly<Record<string, string>>;

/** What options are called here, by names that they have in other libraries and that are accepted as well. */
export type OptionSpellings = Readonly<Record<string, string>>;

/**
 * The result of {@link readOptions} for a shape: every option, defaults filled
 * in, durations in milliseconds as `…Ms`.
 */
export type OptionsOf<Shape extends OptionShape> = {
  readonly [Name in keyof Shape & string as `${Name}${Shape[Name]["suffix"]}`]: Shape[Name] extends Option<
    infer T,
    string
  >
    ? T
    : never;
};

/**
 * Reads the options of a `worker`, a `client` and so on, once and completely.
 * Throws `HOWDAH_OPTION_UNKNOWN` for a name that is not in `shape`, with the
 * name that was probably meant or what `hints` says, and
 * `HOWDAH_OPTION_INVALID` for a value that is not allowed, and for an option
 * that is given twice, under two of its `spellings`. An option that is
 * `undefined` counts as left out.
 */
export function readOptions<const Shape extends OptionShape>(
  owner: string | Omit<OptionPlace, "path">,
  given: unknown,
  shape: Shape,
): OptionsOf<Shape> {
  return readObject({ ...(typeof owner === "string" ? { owner } : owner), path: "" }, given, shape);
}

/** As {@link readOptions}, for options that stand inside of another option. */
export function readObject<const Shape extends OptionShape>(
  place: OptionPlace,
  given: unknown,
  shape: Shape,
): OptionsOf<Shape> {
  if (given !== undefined && !isOptionsObject(given)) throw invalidOption(place, "must be an object", given);
  const values = respell(place, (given ?? {}) as Readonly<Record<string, unknown>>);
  for (const name of Object.keys(values)) {
    if (!Object.hasOwn(shape, name)) throw unknownOption(place, name, shape);
  }
  const result: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(shape)) {
    result[name + option.suffix] = option.read(values[name], inside(place, name));
  }
  return result as OptionsOf<Shape>;
}

/** What was given, with every option under the name that it has here. */
function respell(place: OptionPlace, given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { spellings } = place;
  if (spellings === undefined || !Object.keys(given).some((name) => Object.hasOwn(spellings, name))) return given;
  const values: Record<string, unknown> = {};
  const writtenAs = new Map<string, string>();
  for (const [written, value] of Object.entries(given)) {
    const name = Object.hasOwn(spellings, written) ? (spellings[written] ?? written) : written;
    const before = writtenAs.get(name);
    // One that is left out is not given twice, and does not take the place of the other.
    if (value === undefined) values[name] ??= undefined;
    else if (before !== undefined) throw sameOption(place, before, written);
    else {
      writtenAs.set(name, written);
      values[name] = value;
    }
  }
  return values;
}

function sameOption(place: OptionPlace, one: string, other: string): HowdahError {
  const [first, second] = [inside(place, one).path, inside(place, other).path];
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Options \`${first}\` and \`${second}\` of the ${place.owner} are the same. Specify only one of them.`,
  );
}

/** The error for a value that is not allowed; `allowed` is like "must be a string". */
export function invalidOption(place: OptionPlace, allowed: string, found: unknown): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", `${optionLabel(place)} ${allowed}, found ${describeValue(found)}.`);
}

function unknownOption(place: OptionPlace, name: string, shape: OptionShape): HowdahError {
  const prefix = place.path === "" ? "" : `${place.path}.`;
  const home = Object.keys(shape).find((outer) => Object.hasOwn(shape[outer]?.inner ?? {}, name));
  const hint = home === undefined ? undefined : `it belongs in \`${prefix}${home}\`: \`${home}: { ${name}: ... }\`.`;
  const ending = unknownNameHint(name, { known: Object.keys(shape), hints: place.hints, hint, prefix });
  return new HowdahError("HOWDAH_OPTION_UNKNOWN", `Unknown ${place.owner} option \`${prefix}${name}\`${ending}`);
}

/** The end of a message about an unknown name: a `hint`, what `hints` has for this name, or what was probably meant. */
export function unknownNameHint(
  name: string,
  from: {
    readonly known: readonly string[];
    readonly hints?: OptionHints | undefined;
    readonly hint?: string | undefined;
    readonly prefix?: string;
  },
): string {
  const hint = from.hint ?? (Object.hasOwn(from.hints ?? {}, name) ? from.hints?.[name] : undefined);
  return hint === undefined ? didYouMean(name, from.known, from.prefix) : `: ${hint}`;
}

/** The name of an option at the start of a sentence. */
export function optionLabel({ owner, path }: OptionPlace): string {
  const name = owner.charAt(0).toUpperCase() + owner.slice(1);
  return path === "" ? `${name} options` : `${name} option \`${path}\``;
}

function inside({ owner, path }: OptionPlace, name: string): OptionPlace {
  return { owner, path: path === "" ? name : `${path}.${name}` };
}

/** True for what can hold named options: an object that is not a list. */
export function isOptionsObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
