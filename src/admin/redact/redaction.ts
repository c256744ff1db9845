import { HowdahError } from "../../errors.ts";
import type { JsonText } from "../contract/job-views.ts";
import { type JsonPath, parseJsonPath, pathsInside } from "./json-path.ts";
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
    const { text, isRedacted } = this.#redacted(stored);
    return {
      text: text.length > MOST_SHOWN ? text.slice(0, MOST_SHOWN) : text,
      bytes: Buffer.byteLength(stored),
      isTruncated: text.length > MOST_SHOWN,
      isRedacted,
    };
  }

  /** A text that comes from a job, such as an error, without the values that its payload must not show. */
  textOf(text: string, payload: string): string {
    if (this.#paths.length === 0) return text;
    let kept = text;
    for (const secret of this.#secretsOf(payload)) kept = kept.replaceAll(secret, HIDDEN);
    return kept;
  }

  /** Whether JSON says something of a part that must not be seen. */
  touches(json: string): boolean {
    return this.#redacted(json).isRedacted;
  }

  /** A payload that someone made of one that they saw: where that was redacted, it takes what the original has. */
  restored(payload: string, original: string): string {
    if (this.#paths.length === 0) return payload;
    return writeJsonTree(restore(parseJsonTree(payload), parseJsonTree(original), this.#paths));
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

  /** The values that are hidden, as they might stand in a text, the longest first. */
  #secretsOf(payload: string): readonly string[] {
    const found: JsonTree[] = [];
    try {
      hide(parseJsonTree(payload), this.#paths, found);
    } catch {
      return [];
    }
    const texts = found.flatMap(leavesOf).filter((text) => text.length >= SHORTEST);
    return [...new Set(texts)].sort((a, b) => b.length - a.length);
  }
}

/** What stands for a value that must not be seen. */
const HIDDEN = "[redacted]";
const MARK = JSON.stringify(HIDDEN);

/** The characters of a payload that are shown. */
const MOST_SHOWN = 256 * 1_024;

/** A shorter value stands in texts by chance. */
const SHORTEST = 4;

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

function restore(tree: JsonTree, original: JsonTree | undefined, paths: readonly JsonPath[]): JsonTree {
  if (original === undefined || paths.length === 0) return tree;
  const isHidden = tree.kind === "leaf" && tree.text === MARK;
  if (isHidden) return paths.some((path) => path.length === 0) ? original : tree;
  if (tree.kind === "array" && original.kind === "array") {
    const items = tree.items.map((item, index) =>
      restore(item, original.items[index], pathsInside(paths, String(index))),
    );
    return { kind: "array", items };
  }
  if (tree.kind !== "object" || original.kind !== "object") return tree;
  const values = new Map(original.members);
  const members = tree.members.map(
    ([name, value]) => [name, restore(value, values.get(name), pathsInside(paths, name))] as const,
  );
  return { kind: "object", members };
}

function leavesOf(tree: JsonTree): readonly string[] {
  if (tree.kind === "array") return tree.items.flatMap(leavesOf);
  if (tree.kind === "object") return tree.members.flatMap(([, value]) => leavesOf(value));
  return [tree.text.startsWith('"') ? (JSON.parse(tree.text) as string) : tree.text];
}
