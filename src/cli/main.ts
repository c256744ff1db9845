#!/usr/bin/env node
import { describeFailure } from "./failure.ts";
import { createProgram } from "./program.ts";
import { createScreen } from "./screen.ts";

const screen = createScreen(process);
try {
  await createProgram(screen).parseAsync(process.argv);
} catch (error) {
  const { text, exitCode } = describeFailure(error, process.env);
  if (text !== "") screen.note(text);
  process.exitCode = exitCode;
}
