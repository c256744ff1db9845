/** Something that JSON cannot hold, and where it is. */
export interface Unstorable {
  /** Such as "a bigint". */
  readonly what: string;
  readonly path: readonly PropertyKey[];
}

/**
 * Whether `JSON.stringify`, which has accepted the value already, has silently
 * left out a function or a symbol. What `toJSON` gives is not looked into.
 */
export function holdsUnstorable(value: unknown): boolean {
  if (typeof value === "function" || typeof value === "symbol") return !hasToJson(value);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || hasToJson(value)) return false;
  if (Array.isArray(value)) return value.some(holdsUnstorable);
  const object = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(object)) {
    const property = object[key];
    if (typeof property !== "string" && holdsUnstorable(property)) return true;
  }
  return false;
}

/** Looks for the first thing that JSON cannot hold, and calls `toJSON` as JSON does. Slow; for error messages. */
export function findUnstorable(value: unknown): Unstorable | undefined {
  return find(value, "", []);
}

function find(given: unknown, key: string, above: readonly { key: string; value: object }[]): Unstorable | undefined {
  const path = [...above.map((step) => step.key), key].slice(1);
  const value = hasToJson(given) ? given.toJSON(key) : given;
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
    return { what: `a ${typeof value}`, path };
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (above.some((step) => step.value === value)) return { what: "an object that contains itself", path };
  const below = [...above, { key, value }];
  for (const [name, property] of Object.entries(value)) {
    const found = find(property, name, below);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Writes a place in a payload as JavaScript does: `payload.users[3]["e-mail"]`. */
export function propertyPath(root: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => text + step(key), root);
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
