import { formatBytes, formatCount, formatSeconds } from "../../client/views/amounts.ts";
import type { Crashes } from "./application/crash-crew.ts";
import type { DemoResult, Walked } from "./application/run-demo.ts";
import type { LeftOut } from "./application/walk-files.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";

/** Prints a line with its subject in front, as the demo does for each of its steps. */
export function printStep(screen: Screen, subject: string, text: string): void {
  screen.print(`${screen.paint.dim(subject.padEnd(11))}${text}`);
}

/** The most problems that are listed one by one. */
const MOST_SHOWN = 10;

const REASONS: Readonly<Record<keyof LeftOut, string>> = {
  git: ".git",
  symbolicLinks: "symbolic links",
  specialFiles: "sockets, pipes and devices",
  unreadable: "unreadable",
  namesNotUtf8: "names that are not UTF-8",
  own: "written by this demo",
};

/** Prints what a walk found. */
export function printWalk(screen: Screen, { found, added, waiting, leftOut, seconds }: Walked): void {
  const left = Object.entries(leftOut).filter(([, count]) => count > 0);
  const total = left.reduce((sum, [, count]) => sum + count, 0);
  printStep(screen, "Files", `${formatCount(found)} found in ${formatSeconds(seconds)}`);
  if (total > 0) {
    const reasons = left.map(([reason, count]) => `${formatCount(count)} ${REASONS[reason as keyof LeftOut]}`);
    printStep(screen, "Left out", reasons.join(", "));
  }
  const earlier = waiting - added;
  const rest = [
    earlier > 0 ? `${formatCount(earlier)} left by an earlier run` : "",
    found > waiting ? `${formatCount(found - waiting)} known already and unchanged` : "",
  ].filter((text) => text !== "");
  printStep(screen, "Jobs", [`${formatCount(added)} added`, ...rest].join(", "));
}

/** Prints how a demo went. */
export function printResult(screen: Screen, result: DemoResult): void {
  const { paint } = screen;
  screen.print();
  if (result.interrupted) {
    const done = `${formatCount(result.completed, "job")} done`;
    screen.print(
      `${paint.yellow("Stopped")}: ${done}, ${formatCount(result.remaining)} left. Run it again to finish them.`,
    );
    return;
  }
  const perSecond = result.completed / Math.max(result.runSeconds, 0.001);
  const files = `${formatCount(result.files, "file")}, ${formatBytes(result.bytes)}`;
  const ran =
    result.completed === 0
      ? "no job had to run"
      : `${formatCount(result.completed, "job")} in ${formatSeconds(result.runSeconds)}`;
  screen.print(`${paint.green("Done")}: ${files}, ${ran}`);
  if (result.completed > 0) printStep(screen, "Speed", `${paint.bold(formatCount(perSecond))} jobs a second`);
  printStep(screen, "Queues", `${formatCount(result.queues)}, one for each package folder`);
  const inQueue = paint.bold(String(result.highestQueueConcurrency));
  printStep(
    screen,
    "At once",
    `${result.highestConcurrency} over all queues, ${inQueue} in any one queue, by recorded times`,
  );
  if (result.crashes) printCrashes(screen, result.crashes);
  printManifest(screen, result);
  printProblems(screen, result);
}

function printCrashes(screen: Screen, { kills, restarts, recovered }: Crashes): void {
  const killed = `${screen.paint.bold(formatCount(kills, "worker"))} killed with kill -9`;
  const restarted = restarts > 0 ? `, PostgreSQL ${screen.paint.bold("crashed")} and came back` : "";
  printStep(screen, "Crashes", `${killed}${restarted}; ${formatCount(recovered, "job")} recovered from the dead`);
}

function printManifest(screen: Screen, { manifest = "", directory }: DemoResult): void {
  printStep(screen, "Manifest", printable(manifest));
  const program = process.platform === "darwin" ? "shasum --algorithm 256" : "sha256sum";
  printStep(screen, "Check it", `cd ${shellWord(directory)} && ${program} --quiet --check ${shellWord(manifest)}`);
}

function printProblems({ note }: Screen, { problems, vanished }: DemoResult): void {
  if (vanished > 0) note(`${formatCount(vanished, "file")} vanished meanwhile.`);
  for (const { path, problem } of problems.slice(0, MOST_SHOWN)) {
    note(`Not in the manifest: ${printable(path)}: ${printable(problem)}`);
  }
  const more = problems.length - MOST_SHOWN;
  if (more > 0) note(`and ${formatCount(more)} more.`);
  if (problems.length > 0) note("Run it again to try these once more.");
}

function shellWord(text: string): string {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : printable(`'${text.replaceAll("'", `'\\''`)}'`);
}
