import { HowdahError } from "../../errors.ts";
import type { JsonText } from "../contract/job-views.ts";
import { type JsonPath, parseJsonPath, pathsInside, pathsInsideItems } from "./json-path.ts";
import { type JsonTree, parseJsonTree, writeJsonTree } from "./json-tree.ts";

/** Keeps parts of payloads, and of texts, from leaving the server. */
export class Redaction {
  readonly #paths: readonly JsonPath[];
  readonly #patterns: readonly RegExp[];

  /** Paths of payloads, and patterns of every text. Throws `HOWDAH_OPTION_INVALID`. */
  constructor(rules: readonly (string | RegExp)[]) {
    this.#paths = rules.filter((rule) => typeof rule === "string").map(parseJsonPath);
    this.#patterns = rules.filter((rule) => typeof rule !== "string").map(toGlobal);
  }

  /** Whether there is anything to keep. */
  get isOn(): boolean {
    return this.#paths.length + this.#patterns.length > 0;
  }

  /** Whether payloads have parts to keep. */
  get hasPaths(): boolean {
    return this.#paths.length > 0;
  }

  /** A stored payload as people see it. */
  payload(stored: string): JsonText {
    const { text: kept, isRedacted } = this.#redacted(stored);
    const text = this.text(kept);
    return {
      text: text.length > MOST_SHOWN ? text.slice(0, MOST_SHOWN) : text,
      bytes: Buffer.byteLength(stored),
      isTruncated: text.length > MOST_SHOWN,
      isRedacted: isRedacted || text !== kept,
    };
  }

  /**
   * A text that comes from a job, such as an error, without the values that its payload must not show, and without
   * the patterns: only what this returns may be cut. Nothing of it without a payload that can be looked through.
   */
  textOf(text: string, payload: string | undefined): string {
    if (this.#paths.length === 0) return this.text(text);
    const secrets = payload === undefined ? undefined : this.#secretsOf(payload);
    if (!secrets) return HIDDEN;
    const { texts, numbers } = secrets;
    const kept = texts.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
    const isNumber = (found: string): boolean => found.length >= SHORTEST && numbers.has(Number(found));
    return this.text(numbers.size === 0 ? kept : kept.replace(NUMBER, (found) => (isNumber(found) ? HIDDEN : found)));
  }

  /** Whether a filter of payloads, which `@>` of PostgreSQL takes, asks for a part that must not be seen. */
  touches(json: string): boolean {
    if (this.#paths.length === 0) return false;
    try {
      const tree = parseJsonTree(json);
      // A value alone is also found in a list.
      return isAsked(tree, this.#paths) || (tree.kind === "leaf" && isAsked(tree, pathsInsideItems(this.#paths)));
    } catch {
      // Nested too deep to be looked through.
      return true;
    }
  }

  /** A payload that someone made of one that they saw: where that was redacted, it takes what the original has. */
  restored(payload: string, original: string): string {
    if (!this.isOn) return payload;
    return writeJsonTree(this.#restore(parseJsonTree(payload), parseJsonTree(original), this.#paths));
  }

  /** An answer with the patterns replaced in all of its texts. */
  everywhere<T>(answer: T): T {
    if (this.#patterns.length === 0) return answer;
    return JSON.parse(JSON.stringify(answer), (name: string, value: unknown) =>
      typeof value === "string" && !UNTOUCHED.has(name) ? this.text(value) : value,
    ) as T;
  }

  /** A text with the patterns replaced. */
  text(text: string): string {
    return this.#patterns.reduce((kept, pattern) => kept.replace(pattern, HIDDEN), text);
  }

  #redacted(stored: string): { readonly text: string; readonly isRedacted: boolean } {
    if (this.#paths.length === 0) return { text: stored, isRedacted: false };
    const found: JsonTree[] = [];
    try {
      const tree = hide(parseJsonTree(stored), this.#paths, found);
      return found.length === 0 ? { text: stored, isRedacted: false } : { text: writeJsonTree(tree), isRedacted: true };
    } catch {
      // Nested too deep to be looked through.
      return { text: MARK, isRedacted: true };
    }
  }

  #restore(tree: JsonTree, original: JsonTree | undefined, paths: readonly JsonPath[]): JsonTree {
    if (original === undefined) return tree;
    if (tree.kind === "leaf") return this.#isHidden(tree, original, paths) ? original : tree;
    if (tree.kind === "array" && original.kind === "array") {
      const items = tree.items.map((item, index) =>
        this.#restore(item, original.items[index], pathsInside(paths, String(index))),
      );
      return { kind: "array", items };
    }
    if (tree.kind !== "object" || original.kind !== "object") return tree;
    const values = new Map(original.members);
    const members = tree.members.map(
      ([name, value]) => [name, this.#restore(value, values.get(name), pathsInside(paths, name))] as const,
    );
    return { kind: "object", members };
  }

  /** Whether a value is what people see of the original: the mark at a path, or what the patterns left. */
  #isHidden({ text }: { readonly text: string }, original: JsonTree, paths: readonly JsonPath[]): boolean {
    if (text === MARK && paths.some((path) => path.length === 0)) return true;
    return original.kind === "leaf" && text === this.text(original.text);
  }

  /** The values that are hidden; `undefined` when they are too many to be looked for, or nested too deep. */
  #secretsOf(payload: string): Secrets | undefined {
    const found: JsonTree[] = [];
    try {
      hide(parseJsonTree(payload), this.#paths, found);
    } catch {
      return undefined;
    }
    const leaves = found.flatMap(leavesOf);
    if (leaves.length > MOST_LEAVES) return undefined;
    const texts = leaves.flatMap(textsOf).filter((text) => text.length >= SHORTEST);
    const numbers = leaves.filter((leaf) => leaf.length >= SHORTEST && /^-?\d/.test(leaf));
    return {
      texts: [...new Set(texts)].sort((a, b) => b.length - a.length),
      numbers: new Set(numbers.map((leaf) => Math.abs(Number(leaf)))),
    };
  }
}

/** Values that must not be seen. */
interface Secrets {
  /** As they might stand in a text, the longest first. */
  readonly texts: readonly string[];
  /** Without their signs: a client may have rounded them, or written them in another way. */
  readonly numbers: ReadonlySet<number>;
}

/** What stands for a value that must not be seen. */
const HIDDEN = "[redacted]";
const MARK = JSON.stringify(HIDDEN);

/** The characters of a payload that are shown. */
const MOST_SHOWN = 256 * 1_024;

/** The hidden values of a payload that are looked for in texts. */
const MOST_LEAVES = 1_000;

/** A shorter value stands in texts by chance. */
const SHORTEST = 4;

/** A number in a text. */
const NUMBER = /\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;

/** Properties that have to come back as they are. */
const UNTOUCHED: ReadonlySet<string> = new Set(["next", "token", "id", "asOf", "at", "topic", "code", "type"]);

function toGlobal(rule: RegExp): RegExp {
  if (!(rule instanceof RegExp))
    throw new HowdahError("HOWDAH_OPTION_INVALID", "`redact` takes paths as texts, and regular expressions.");
  return new RegExp(rule.source, [...new Set(`${rule.flags.replace("y", "")}g`)].join(""));
}

function hide(tree: JsonTree, paths: readonly JsonPath[], found: JsonTree[]): JsonTree {
  if (paths.some((path) => path.length === 0)) {
    found.push(tree);
    return { kind: "leaf", text: MARK };
  }
  if (paths.length === 0 || tree.kind === "leaf") return tree;
  if (tree.kind === "array") {
    const items = tree.items.map((item, index) => hide(item, pathsInside(paths, String(index)), found));
    return { kind: "array", items };
  }
  const members = tree.members.map(([name, value]) => [name, hide(value, pathsInside(paths, name), found)] as const);
  return { kind: "object", members };
}

/** A filter finds an item of a list wherever it is. */
function isAsked(tree: JsonTree, paths: readonly JsonPath[]): boolean {
  if (paths.some((path) => path.length === 0)) return true;
  if (tree.kind === "leaf") return false;
  if (tree.kind === "array") return tree.items.some((item) => isAsked(item, pathsInsideItems(paths)));
  return tree.members.some(([name, value]) => isAsked(value, pathsInside(paths, name)));
}

/** The texts of the leaves as they are stored. */
function leavesOf(tree: JsonTree): readonly string[] {
  if (tree.kind === "array") return tree.items.flatMap(leavesOf);
  if (tree.kind === "object") return tree.members.flatMap(([, value]) => leavesOf(value));
  return [tree.text];
}

/** How a value might stand in a text: as it is, and as JSON inside of quotes. */
function textsOf(leaf: string): readonly string[] {
  if (!leaf.startsWith('"')) return [leaf];
  const value = JSON.parse(leaf) as string;
  return [value, leaf.slice(1, -1), JSON.stringify(value).slice(1, -1)];
}
