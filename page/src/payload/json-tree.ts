/**
 * A part of a JSON text. Numbers keep the digits that they were written with:
 * 9007199254740993 is not a number that a browser could hold.
 */
export type JsonNode =
  | { readonly kind: "object"; readonly members: readonly JsonMember[] }
  | { readonly kind: "array"; readonly members: readonly JsonMember[] }
  | { readonly kind: "string"; readonly text: string; readonly value: string }
  | { readonly kind: "number" | "literal"; readonly text: string };

/** A member of an object, or an element of an array with its index as the key. */
export interface JsonMember {
  readonly key: string;
  readonly node: JsonNode;
}

/** Deeper payloads are shown as text only. */
const MAX_DEPTH = 100;

/** Reads JSON without losing a digit; undefined for a text that is not JSON, or is cut off. */
export function readJsonTree(text: string): JsonNode | undefined {
  const reader = new JsonReader(text);
  try {
    return reader.whole();
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}

/** Writes it with a line for each member. */
export function prettyJson(node: JsonNode, indent = ""): string {
  if (!("members" in node)) return node.text;
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (node.members.length === 0) return `${open}${close}`;
  const inner = `${indent}  `;
  const lines = node.members.map(({ key, node: member }) => {
    const name = node.kind === "object" ? `${JSON.stringify(key)}: ` : "";
    return `${inner}${name}${prettyJson(member, inner)}`;
  });
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

/** What is different between two payloads, in one place. */
export interface JsonChange {
  /** `$.to[0].name` */
  readonly path: string;
  /** Undefined where there was nothing. */
  readonly before: string | undefined;
  /** Undefined where there is nothing any more. */
  readonly after: string | undefined;
}

/** What was added, changed and removed, in the order of the paths of the first. */
export function jsonChanges(before: JsonNode, after: JsonNode, path = "$"): JsonChange[] {
  if (!("members" in before) || !("members" in after) || before.kind !== after.kind) {
    const [old, now] = [compactJson(before), compactJson(after)];
    return old === now ? [] : [{ path, before: old, after: now }];
  }
  const isArray = before.kind === "array";
  const later = new Map(after.members.map(({ key, node }) => [key, node]));
  const earlier = new Set(before.members.map(({ key }) => key));
  const kept = before.members.flatMap(({ key, node }) => {
    const at = step(path, key, isArray);
    const now = later.get(key);
    return now ? jsonChanges(node, now, at) : [{ path: at, before: compactJson(node), after: undefined }];
  });
  const added = after.members
    .filter(({ key }) => !earlier.has(key))
    .map(({ key, node }) => ({ path: step(path, key, isArray), before: undefined, after: compactJson(node) }));
  return [...kept, ...added];
}

/** Writes it in one line. */
export function compactJson(node: JsonNode): string {
  if (!("members" in node)) return node.text;
  const parts = node.members.map(({ key, node: member }) =>
    node.kind === "object" ? `${JSON.stringify(key)}:${compactJson(member)}` : compactJson(member),
  );
  return node.kind === "object" ? `{${parts.join(",")}}` : `[${parts.join(",")}]`;
}

function step(path: string, key: string, isIndex: boolean): string {
  if (isIndex) return `${path}[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

/** The text is not JSON. */
class NotJson extends Error {}

/** The browser knows which characters and escapes a string may have. */
function unescaped(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new NotJson();
  }
}

const STRING = /"(?:[^"\\]|\\.)*"/sy;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): JsonNode {
    const node = this.#value(0);
    this.#take(SPACE);
    if (this.#at < this.#text.length) throw new NotJson();
    return node;
  }

  #value(depth: number): JsonNode {
    if (depth > MAX_DEPTH) throw new NotJson();
    this.#take(SPACE);
    switch (this.#text[this.#at]) {
      case "{":
        return { kind: "object", members: this.#members("}", depth, () => this.#key()) };
      case "[":
        return { kind: "array", members: this.#members("]", depth, String) };
      case '"': {
        const text = this.#must(STRING);
        return { kind: "string", text, value: unescaped(text) };
      }
      default: {
        const literal = this.#take(LITERAL);
        return literal ? { kind: "literal", text: literal } : { kind: "number", text: this.#must(NUMBER) };
      }
    }
  }

  #members(close: string, depth: number, keyOf: (index: number) => string): JsonMember[] {
    const members: JsonMember[] = [];
    this.#at += 1;
    if (this.#is(close)) return members;
    for (;;) {
      const key = keyOf(members.length);
      members.push({ key, node: this.#value(depth + 1) });
      if (this.#is(close)) return members;
      if (!this.#is(",")) throw new NotJson();
    }
  }

  #key(): string {
    this.#take(SPACE);
    const key = unescaped(this.#must(STRING));
    if (!this.#is(":")) throw new NotJson();
    return key;
  }

  /** Whether this character comes next; it is passed then. */
  #is(character: string): boolean {
    this.#take(SPACE);
    const isNext = this.#text[this.#at] === character;
    if (isNext) this.#at += 1;
    return isNext;
  }

  #must(pattern: RegExp): string {
    const taken = this.#take(pattern);
    if (taken === "") throw new NotJson();
    return taken;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    return taken;
  }
}
