import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";

/** The steps from the root to a value. */
export type JsonPath = readonly JsonStep[];

/**
 * Reads a path of a payload: `$.card.number`, `$.items[*].token`, `$["a b"]`,
 * `$..password` for any depth, `$.*` for every member. Throws
 * `HOWDAH_OPTION_INVALID` for any other text.
 */
export function parseJsonPath(path: string): JsonPath {
  const steps: JsonStep[] = [];
  let rest = path.startsWith("$") ? path.slice(1) : undefined;
  while (rest !== undefined && rest !== "") {
    const [found, deep, name, index, quoted] = STEP.exec(rest) ?? [];
    if (found === undefined) rest = undefined;
    else {
      const step = name ?? index ?? (quoted === undefined ? "*" : (JSON.parse(quoted) as string));
      steps.push({ name: step === "*" && quoted === undefined ? undefined : step, isDeep: deep === ".." });
      rest = rest.slice(found.length);
    }
  }
  if (rest === undefined || steps.length === 0)
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `\`redact\` takes paths such as "$.card.number", "$.items[*].token" or "$..password", found ${describeValue(path)}.`,
    );
  return steps;
}

/** One step. */
export interface JsonStep {
  /** A member, or an index as digits; `undefined` for any. */
  readonly name: string | undefined;
  /** Whether any number of steps may come before it. */
  readonly isDeep: boolean;
}

/** What is left of these paths inside of a member. One that is empty ends there. */
export function pathsInside(paths: readonly JsonPath[], member: string): readonly JsonPath[] {
  return paths.flatMap((path) => {
    const [step, ...rest] = path;
    if (step === undefined) return [];
    const taken = step.name === undefined || step.name === member ? [rest] : [];
    return step.isDeep ? [...taken, path] : taken;
  });
}

/** The same inside of any item of a list, whatever its index is. */
export function pathsInsideItems(paths: readonly JsonPath[]): readonly JsonPath[] {
  return paths.flatMap((path) => {
    const [step, ...rest] = path;
    if (step === undefined) return [];
    const taken = step.name === undefined || /^\d+$/.test(step.name) ? [rest] : [];
    return step.isDeep ? [...taken, path] : taken;
  });
}

/** Dots and a name or a star; or an index, a star or a quoted name in brackets. */
const STEP = /^(?:(\.\.?)([^.[\]"]+)|(?:\.\.)?\[(?:(\d+|\*)|("(?:[^"\\]|\\.)*"))\])/;
