#!/usr/bin/env node
import { describeFailure } from "./failure.ts";
import { runProgram } from "./program.ts";
import { createScreen } from "./screen.ts";

const screen = createScreen(process);
try {
  await runProgram(screen, process.argv);
} catch (error) {
  const { text, exitCode } = describeFailure(error, process.env);
  if (text !== "") screen.note(text);
  process.exitCode = exitCode;
}
