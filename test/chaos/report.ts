import type { RunResult } from "./run.ts";

const MOST_SHOWN = 10;

const FAULTS: Readonly<Record<keyof RunResult["struck"], string>> = {
  kill: "workers killed (kill -9)",
  shutdown: "workers told to stop (SIGTERM)",
  freeze: "workers frozen and cut off (SIGSTOP)",
  killProducer: "producers killed (kill -9)",
  restart: "restarts of the database",
  terminate: "sessions terminated",
  link: "connections cut, delayed or silenced",
  halfOpen: "losses of all connections of some workers without a word",
  proxyRestart: "restarts of the proxy that most workers are behind",
  pin: "snapshots pinned",
  sweep: "sweeps by two at once",
};

const COUNTS: Readonly<Record<string, string>> = {
  added: "jobs added",
  rolledBack: "jobs rolled back",
  unsure: "jobs of which the producer was told nothing",
  completed: "jobs completed",
  kept: "of these kept in history, each once",
  starts: "handlers called",
  succeededTwice: "jobs that succeeded again, because the first time was not acknowledged",
  toldUnknown: "outcomes of which a worker told that it cannot know whether they counted",
  startedLate: "handlers called for a job that was done already, by workers that had stood still",
  startsNotFirst: "handlers called for a further attempt",
  overlapsFenced: "handlers that outlived their claim, and were fenced off",
  takenForDead: "workers declared dead that had stood still, or were cut off for too long",
  startsLimited: "starts in queues with lanes, a rate or a pool, whose rules changed meanwhile",
  startsAtLimit: "of these with as many at once as may be",
  ordersCompared: "starts compared with what waited in their queue",
  processes: "processes",
  mostSessions: "sessions at most",
  mostMegabytes: "MB in one process at most",
  longestLagMs: "ms that an event loop was late at most",
};

/** What happened, one line each: the figure and what it counts. */
export function describeResult({ struck, counts }: RunResult): [number, string][] {
  const faults = Object.entries(FAULTS).map(([kind, text]): [number, string] => [
    struck[kind as keyof typeof FAULTS],
    text,
  ]);
  return [...faults, ...Object.entries(COUNTS).map(([name, text]): [number, string] => [counts[name] ?? 0, text])];
}

/** Prints what happened and what must not have. */
export function printResult(result: RunResult, say: (line: string) => void): void {
  say("");
  for (const [figure, text] of describeResult(result)) say(`${figure.toLocaleString("en").padStart(10)}  ${text}`);
  say("");
  const { violations, errors, ledgers, seconds } = result;
  for (const rule of new Set(violations.map((violation) => violation.rule))) {
    const texts = violations.filter((violation) => violation.rule === rule).map(({ text }) => text);
    say(`✗ ${rule}: ${texts.length}`);
    for (const text of texts.slice(0, MOST_SHOWN)) say(`    ${text}`);
  }
  if (violations.length === 0) return say(`✓ Every promise was kept, in ${seconds.toFixed(0)} s.`);
  for (const [text, count] of Object.entries(errors)) say(`  ${count} × ${text}`);
  say(`The ledgers are in ${ledgers}`);
}
