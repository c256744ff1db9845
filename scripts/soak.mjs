/**
 * Runs test files over and over while the processors are busy, and counts the runs that fail: a test that fails one
 * time in fifty is broken. 150 runs without a failure show, with 95% probability, a rate below 2%.
 *
 *   npm run soak -- claim/worker-flags claim/races       files by a part of their path, as vitest takes them
 *   npm run soak -- claim/races --times 20           fewer runs (150)
 *   npm run soak -- claim/races --load 0             that many processes that only spin (1 for each processor)
 *
 * It ends at the first failure, whose output it prints.
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

const OPTIONS = /** @type {const} */ ({
  times: { type: "string", default: "150" },
  load: { type: "string", default: String(availableParallelism()) },
});
const { files, times, load } = readArguments();

const spinning = Array.from({ length: load }, () => spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }));
try {
  process.exitCode = await soak();
} finally {
  for (const child of spinning) child.kill();
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
    if (positionals.length === 0) throw new Error("Name at least one test file, or a part of its path");
    const [count, spinners] = [Number(values.times), Number(values.load)];
    if (!Number.isInteger(count) || count < 1) throw new Error(`--times takes a whole number; found ${values.times}`);
    if (!Number.isInteger(spinners) || spinners < 0)
      throw new Error(`--load takes a whole number; found ${values.load}`);
    return { files: positionals, times: count, load: spinners };
  } catch (error) {
    console.error(`${error.message}\nOptions: --times N, --load N`);
    process.exit(2);
  }
}

async function soak() {
  for (let done = 0; done < times; done += 1) {
    const { code, output } = await runOnce();
    if (code !== 0) {
      console.log(`${output}\nFailed in run ${done + 1} of ${times}: ${files.join(" ")}`);
      return 1;
    }
    if ((done + 1) % 10 === 0) console.log(`${done + 1} of ${times} runs passed`);
  }
  console.log(`${times} runs passed: ${files.join(" ")}`);
  return 0;
}

function runOnce() {
  const child = spawn("npx", ["vitest", "run", ...files], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}
