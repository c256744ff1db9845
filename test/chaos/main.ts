import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { printResult } from "./report.ts";
import { runChaos } from "./run.ts";
import { readSettings, type Settings, USAGE } from "./settings.ts";
import { writeResult } from "./write-result.ts";

const say = (line: string): void => console.log(line);

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    say(USAGE);
    return 0;
  }
  const settings = settingsOf(args);
  if (!settings) return 2;
  say(
    `Seed ${settings.seed}. The same again: npm run chaos -- ${["--seed", settings.seed, ...without(args)].join(" ")}`,
  );
  const result = await runChaos(settings, say);
  printResult(result, say);
  if (settings.out) await writeResult(settings.out, settings, result);
  return result.violations.length === 0 ? 0 : 1;
}

/** `undefined`, with a word about it, for arguments that mean nothing. */
function settingsOf(args: readonly string[]): Settings | undefined {
  try {
    return readSettings(args, randomInt(2 ** 32), fileURLToPath(new URL("results", import.meta.url)));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return undefined;
  }
}

/** The arguments but for the seed. */
function without(args: readonly string[]): string[] {
  const at = args.indexOf("--seed");
  return at < 0 ? [...args] : args.toSpliced(at, 2);
}

const exitCode = await main(process.argv.slice(2));
// Not left to Node: it may wait for ever for the handles of children that were killed. What was written comes first.
process.stdout.write("", () => process.exit(exitCode));
