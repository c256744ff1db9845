/**
 * Records the demo in a terminal and draws what it showed as a picture that moves. Needs `script` of util-linux.
 *
 *   npm run build && node scripts/recording/record.mjs
 *
 * What is drawn is what the program wrote, at the times at which it did, but for three things: long runs are shown
 * faster, the folders have the names that a reader's would have, and a colour is one of eight.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { animate } from "./animation.mjs";
import { Terminal } from "./terminal.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const TARGET = join(ROOT, "docs/pictures/demo-crash.svg");
const COLUMNS = 110;
/** The picture starts again after this, and rests at its end. */
const PLAYED_SECONDS = 12;
const REST_SECONDS = 6;

const recording = record("node dist/cli/main.js demo --crash --fresh --manifest SHA256SUMS");
mkdirSync(dirname(TARGET), { recursive: true });
writeFileSync(TARGET, animate(framesOf(recording), { columns: COLUMNS, command: "npm run demo -- --crash" }));
rmSync(join(ROOT, "SHA256SUMS"), { force: true });
console.log(`Written: ${TARGET}`);

/** Runs a command in a terminal: what it wrote, in pieces `{ at, text }`, the time in seconds. */
function record(command) {
  const folder = mkdtempSync(join(tmpdir(), "howdah-recording-"));
  const [output, timing] = [join(folder, "output"), join(folder, "timing")];
  const inTerminal = `stty cols ${COLUMNS} rows 40; ${command}`;
  const args = ["--quiet", "--flush", "--return", "--log-out", output, "--log-timing", timing, "--command", inTerminal];
  const env = { ...process.env, DATABASE_URL: "", FORCE_COLOR: "1", TERM: "xterm-256color" };
  const { status, error } = spawnSync("script", args, { cwd: ROOT, env, stdio: ["ignore", "inherit", "inherit"] });
  if (error || status !== 0) throw new Error(`The demo failed: ${error?.message ?? `exit code ${status}`}`);
  const bytes = readFileSync(output);
  let offset = bytes.indexOf("\n") + 1; // a header of `script`
  let at = 0;
  const pieces = [];
  for (const line of readFileSync(timing, "utf8").trimEnd().split("\n")) {
    const [delay, length] = line.split(" ").map(Number);
    at += delay;
    pieces.push({ at, text: bytes.subarray(offset, offset + length).toString("utf8") });
    offset += length;
  }
  rmSync(folder, { recursive: true, force: true });
  return pieces;
}

/** What the terminal shows after each piece, `{ at, lines }`, played in {@link PLAYED_SECONDS}. */
function framesOf(pieces) {
  const terminal = new Terminal();
  const last = pieces.at(-1)?.at ?? 1;
  const speed = Math.max(1, last / PLAYED_SECONDS);
  const frames = [];
  for (const { at, text } of pieces) {
    terminal.write(text);
    const frame = { at: at / speed, lines: terminal.lines().map((line) => line.map(renamed)) };
    // A picture shows ten changes a second at most.
    if (frames.length > 1 && frame.at - frames.at(-1).at < 0.1)
      frames[frames.length - 1] = { ...frame, at: frames.at(-1).at };
    else frames.push(frame);
  }
  return [...frames, { at: frames.at(-1).at + REST_SECONDS, lines: frames.at(-1).lines }];
}

function renamed({ text, style }) {
  const names = [
    [ROOT, "/home/ada/howdah"],
    [tmpdir(), "/tmp"],
  ];
  return { style, text: names.reduce((changed, [from, to]) => changed.replaceAll(from, to), text) };
}
