/** A set of flags as the object in which it is stored. */
export function flagSet(flags: readonly string[]): string {
  return JSON.stringify(Object.fromEntries(flags.map((flag) => [flag, true])));
}
