import { parseArgs } from "node:util";

/** Reads the options of a program. Ends the process, with the reason, for arguments that mean nothing, or that `check` refuses. */
export function readFlags(options, check = () => {}) {
  try {
    const { values } = parseArgs({ options });
    check(values);
    return values;
  } catch (error) {
    const known = Object.keys(options).map((name) => `--${name}`);
    console.error(`${error.message}\nOptions: ${known.join(", ")}`);
    process.exit(2);
  }
}
