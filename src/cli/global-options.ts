import { Option } from "commander";

/** The options of every command. */
export const GLOBAL_OPTIONS: readonly Option[] = [
  new Option("--database-url <url>", "the database: postgresql://user:password@host:5432/database"),
  new Option("--schema <name>", 'the schema of the queue (default: "howdah")'),
  new Option("--json", "print JSON for scripts instead of text for people"),
];

/** What graphile-worker's command line calls options that this one has, too: in every command, and in `howdah work`. */
const EVERYWHERE: Readonly<Record<string, string>> = { "--connection": "--database-url", "-c": "--database-url" };
const WORK: Readonly<Record<string, string>> = { ...EVERYWHERE, "--jobs": "--concurrency", "-j": "--concurrency" };

/** The words of a command line with the names of options that graphile-worker spells otherwise replaced by ours. */
export function respell(words: readonly string[]): string[] {
  const names = words.includes("work") ? WORK : EVERYWHERE;
  const end = words.indexOf("--");
  return words.map((word, place) => {
    const [name = "", ...value] = word.split("=");
    const spelling = Object.hasOwn(names, name) && (end === -1 || place < end) ? names[name] : undefined;
    return spelling === undefined ? word : [spelling, ...value].join("=");
  });
}
