import { types } from "node:util";

/** Something that JSON cannot hold, and where it is. */
export interface Unstorable {
  /** Such as "a bigint". */
  readonly what: string;
  readonly path: readonly PropertyKey[];
}

/**
 * Whether `JSON.stringify`, which has accepted the value already, has silently
 * left something out or made something else of it. What `toJSON` gives is
 * looked into; a getter or `toJSON` that throws makes this throw.
 */
export function holdsUnstorable(given: unknown, key = ""): boolean {
  if (typeof given === "string" || given === null || given === undefined) return false;
  const value = jsonOf(given, key);
  if (typeof value !== "object" || value === null) return isLostScalar(value);
  if (Array.isArray(value)) return value.some((item, index) => holdsUnstorable(item, `${index}`));
  if (!isPlain(value) && describeLost(value) !== undefined) return true;
  const object = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(object)) {
    const property = object[name];
    if (typeof property !== "string" && holdsUnstorable(property, name)) return true;
  }
  return false;
}

/** Looks for the first thing that JSON cannot hold, and calls `toJSON` as JSON does. Slow; for error messages. */
export function findUnstorable(value: unknown): Unstorable | undefined {
  return find(value, "", []);
}

function find(given: unknown, key: string, above: readonly { key: string; value: object }[]): Unstorable | undefined {
  const path = [...above.map((step) => step.key), key].slice(1);
  const value = jsonOf(given, key);
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
    return { what: `a ${typeof value}`, path };
  }
  if (isLostScalar(value)) return { what: String(value), path };
  if (typeof value !== "object" || value === null) return undefined;
  if (above.some((step) => step.value === value)) return { what: "an object that contains itself", path };
  const what = Array.isArray(value) ? undefined : describeLost(value);
  if (what !== undefined) return { what, path };
  const below = [...above, { key, value }];
  for (const [name, property] of Object.entries(value)) {
    const found = find(property, name, below);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What JSON writes for a value, before it writes it. A date that is none stays what it is, as its `toJSON` gives null. */
function jsonOf(value: unknown, key: string): unknown {
  if (!hasToJson(value) || isInvalidDate(value)) return value;
  return value.toJSON(key);
}

/** What is no object, and is left out or becomes null. A bigint makes JSON throw. */
function isLostScalar(value: unknown): boolean {
  return typeof value === "number" ? !Number.isFinite(value) : typeof value === "function" || typeof value === "symbol";
}

/** What nearly every object in a payload is, so that it needs no further look. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What an object is that JSON makes something else of; `undefined` when JSON writes all that it holds. */
function describeLost(value: object): string | undefined {
  if (isInvalidDate(value)) return "an invalid Date";
  if (types.isPromise(value)) return "a Promise, was an `await` forgotten";
  if (types.isNativeError(value) || value instanceof Error) return "an Error";
  if (types.isBoxedPrimitive(value)) return describeBoxed(value.valueOf());
  if (types.isTypedArray(value)) {
    const lost = Array.from(value as ArrayLike<number | bigint>).find((item) => isLostScalar(item));
    return lost === undefined ? undefined : `${String(lost)} in a typed array`;
  }
  // What such an object holds is inside of it, where JSON does not see it: of a Map, a Set, a RegExp, a Blob.
  const name = Object.prototype.toString.call(value).slice(8, -1);
  if (name === "Object" || name === "Arguments" || name === "Date") return undefined;
  const isEmpty = Object.keys(value).length === 0;
  return isEmpty || types.isMap(value) || types.isSet(value) || types.isRegExp(value)
    ? `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}`
    : undefined;
}

function describeBoxed(inside: unknown): string | undefined {
  if (typeof inside === "number" && !Number.isFinite(inside)) return String(inside);
  return typeof inside === "symbol" ? "a symbol" : undefined;
}

function isInvalidDate(value: unknown): boolean {
  return types.isDate(value) && Number.isNaN(value.getTime()) && value.toJSON === Date.prototype.toJSON;
}

/**
 * Writes a place in a payload as JavaScript does: `payload.users[3]["e-mail"]`,
 * and with a root such as "payload of job `t`" then whose payload it is.
 */
export function propertyPath(root: string, path: readonly PropertyKey[]): string {
  const [, object = root, owner = ""] = /^(\S+)( of .*)$/s.exec(root) ?? [];
  return path.reduce<string>((text, key) => text + step(key), object) + owner;
}

function step(key: PropertyKey): string {
  const name = String(key);
  if (/^\d+$/.test(name)) return `[${name}]`;
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name.slice(0, 100))}]`;
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  if (value === null || value === undefined) return false;
  return typeof (value as { readonly toJSON?: unknown }).toJSON === "function";
}
