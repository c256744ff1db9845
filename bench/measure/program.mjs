import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { programOf, settingsOf } from "../peers/peers.mjs";

/**
 * Starts the program of a side in another language with one of its calls, as `startChild` does for one in Node: the
 * same messages, as JSON texts, one a line, over its standard input and output. Its input has the options of the
 * settings that it names.
 */
export function startProgram({ call, input, onMessage = () => {} }) {
  const child = spawn(programOf(input.peer), [call], { stdio: ["pipe", "pipe", "inherit"] });
  const write = (kind, value) => child.stdin.write(`${JSON.stringify({ kind, value })}\n`);
  // Messages that are sent before the settings are read wait for the input, which comes first.
  const begun = settingsOf(input.peer).then((settings) => {
    write("input", { ...input, options: settings[input.settings]?.options ?? {} });
  });
  // A program that has ended reads no more; that it has is seen below.
  child.stdin.on("error", () => {});
  const result = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { kind, value } = JSON.parse(line);
      if (kind === "result") resolve(value);
      else if (kind === "error") reject(new Error(value));
      else onMessage(value);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => reject(new Error(`A measured program ended with ${signal ?? code}.`)));
    begun.catch(reject);
  });
  // A later await of `result` still gets the rejection.
  result.catch(() => {});
  const send = (value) =>
    void begun.then(
      () => write("message", value),
      () => {},
    );
  return { result, send, kill: () => child.kill("SIGKILL") };
}
