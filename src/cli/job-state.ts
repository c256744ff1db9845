import type { JobState } from "../job/job.ts";
import type { Screen } from "./screen.ts";

/** Colours a text by the state that it is about. */
export function tintByState(screen: Screen, state: JobState, text: string): string {
  const { green, blue, cyan, red } = screen.paint;
  return { ready: green, scheduled: blue, running: cyan, failed: red }[state](text);
}
