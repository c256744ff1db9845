import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { callsItself } from "../peers/peers.mjs";
import { startProgram } from "./program.mjs";

const MAIN = fileURLToPath(new URL("child-main.mjs", import.meta.url));

/**
 * Calls an exported function of a module in a Node process of its own, started with `nodeFlags`. `result` is what the
 * function returned; `send` puts a message into its inbox, and `onMessage` gets what it sends. A side that is a program
 * of its own is called instead of the module, where it knows the call.
 */
export function startChild({ node, nodeFlags = [], module, call, input, onMessage = () => {} }) {
  if (callsItself(input.peer, call)) return startProgram({ call, input, onMessage });
  const child = fork(MAIN, [module.href ?? module, call], {
    execPath: node,
    execArgv: nodeFlags,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const result = new Promise((resolve, reject) => {
    child.on("message", ({ kind, value }) => {
      if (kind === "result") resolve(value);
      else if (kind === "error") reject(new Error(value));
      else onMessage(value);
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      const ended = () => reject(new Error(`A measured process ended with ${signal ?? code}.`));
      // What it sent last may still have to be read: only then is the channel closed.
      if (child.connected) child.once("disconnect", ended);
      else ended();
    });
  });
  // A later await of `result` still gets the rejection.
  result.catch(() => {});
  child.send({ kind: "input", value: input });
  return {
    result,
    send: (value) => child.connected && child.send({ kind: "message", value }),
    kill: () => child.kill("SIGKILL"),
  };
}

/** {@link startChild} for a function that needs no messages; ends the process when it takes longer than `limitMs`. */
export async function callInChild({ limitMs = 300_000, ...options }) {
  const child = startChild(options);
  const timer = setTimeout(() => child.kill(), limitMs);
  try {
    return await child.result;
  } finally {
    clearTimeout(timer);
  }
}
