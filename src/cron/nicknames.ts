import { didYouMean } from "../runtime/suggestion.ts";

/** The fields that a word that begins with `@` stands for, or what is wrong with it; `undefined` for any other word. */
export function readNickname(word: string): { readonly fields: string } | { readonly problem: string } | undefined {
  if (!word.startsWith("@")) return undefined;
  const name = word.toLowerCase();
  const fields = Object.hasOwn(NICKNAMES, name) ? NICKNAMES[name] : undefined;
  if (fields !== undefined) return { fields };
  if (name === "@reboot")
    return {
      problem: "`@reboot` means the start of a machine, which no worker sees: add a job when your program starts",
    };
  const hint = didYouMean(
    name.slice(1),
    Object.keys(NICKNAMES).map((known) => known.slice(1)),
    "@",
  ).replace(/[.]$/, "");
  return { problem: `unknown nickname \`${word.slice(0, 40)}\`${hint}` };
}

/** The nicknames of crontabs, as expressions of five fields. */
const NICKNAMES: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
