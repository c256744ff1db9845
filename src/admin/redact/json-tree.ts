/**
 * JSON as a tree that keeps the text of its leaves: numbers are not rounded,
 * names may come twice, and everything stays in its order.
 */
export type JsonTree =
  | { readonly kind: "object"; readonly members: readonly JsonMember[] }
  | { readonly kind: "array"; readonly items: readonly JsonTree[] }
  | { readonly kind: "leaf"; readonly text: string };

/** A member of an object: its name, and its value. */
export type JsonMember = readonly [name: string, value: JsonTree];

/** Reads JSON. Throws a `SyntaxError` for any other text, and a `RangeError` for one that is nested too deep. */
export function parseJsonTree(text: string): JsonTree {
  // Says what is wrong, and leaves nothing to check below.
  JSON.parse(text);
  return new Reader(text).value();
}

/** Writes a tree as JSON without spaces. */
export function writeJsonTree(tree: JsonTree): string {
  if (tree.kind === "leaf") return tree.text;
  if (tree.kind === "array") return `[${tree.items.map(writeJsonTree).join(",")}]`;
  return `{${tree.members.map(([name, value]) => `${JSON.stringify(name)}:${writeJsonTree(value)}`).join(",")}}`;
}

/** Reads a text that is known to be JSON. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): JsonTree {
    this.#skip(SPACE);
    const first = this.#text[this.#at];
    if (first === "{") return { kind: "object", members: this.#list("}", () => this.#member()) };
    if (first === "[") return { kind: "array", items: this.#list("]", () => this.value()) };
    return { kind: "leaf", text: this.#skip(first === '"' ? STRING : WORD) };
  }

  #member(): JsonMember {
    this.#skip(SPACE);
    const name = JSON.parse(this.#skip(STRING)) as string;
    this.#skip(COLON);
    return [name, this.value()];
  }

  #list<T>(end: string, item: () => T): readonly T[] {
    const found: T[] = [];
    this.#at += 1;
    for (;;) {
      this.#skip(COMMA);
      if (this.#text[this.#at] === end) break;
      found.push(item());
    }
    this.#at += 1;
    return found;
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ""] = pattern.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }
}

const SPACE = /[ \t\r\n]*/y;
const COLON = /[ \t\r\n]*:/y;
const COMMA = /[ \t\r\n,]*/y;
const WORD = /[-+.\w]+/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
