import picocolors from "picocolors";
import { expect, it } from "vitest";
import { printResult } from "../../src/cli/demo/report.ts";
import type { Screen } from "../../src/cli/screen.ts";
import { readProjectFile } from "./project-tree.ts";

/** The lines of the last frame of the recording: those that are not taken away again. */
function lastFrame(): string[] {
  const texts = [...readProjectFile("docs/pictures/demo-crash.svg").matchAll(/<text ([^>]*)>(.*?)<\/text>/g)];
  return texts
    .filter(([, attributes = ""]) => !attributes.includes("gone"))
    .map(([, , runs = ""]) => unescape(runs.replaceAll(/<[^>]+>/g, "")).trimEnd());
}

function unescape(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** What the demo prints for the figures that these lines show. */
function printedAgain(text: string): string[] {
  const found = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? `no ${pattern}`;
  const count = (pattern: RegExp): number => Number(found(pattern).replaceAll(",", ""));
  const seconds = (pattern: RegExp): number => {
    const [, minutes = "0", rest = ""] = /^(?:(\d+) min )?([\d.]+) s$/.exec(found(pattern)) ?? [];
    return Number(minutes) * 60 + Number(rest);
  };
  const runSeconds = seconds(/jobs in ((?:\d+ min )?[\d.]+ s)/);
  const [, amount = "", unit = ""] = /files, ([\d.]+) (\w+), /.exec(text) ?? [];
  const lines: string[] = [];
  const screen = { paint: picocolors.createColors(false), print: (line = "") => lines.push(line) };
  printResult(
    screen as unknown as Screen,
    {
      files: count(/Done: ([\d,]+) files/),
      completed: count(/, ([\d,]+) jobs in /),
      bytes: Number(amount) * (UNITS[unit] ?? Number.NaN),
      runSeconds,
      queues: count(/Queues +([\d,]+),/),
      highestConcurrency: count(/At once +(\d+) over/),
      highestQueueConcurrency: count(/, (\d+) in any one queue/),
      crashes: {
        kills: count(/Crashes +([\d,]+) worker/),
        restarts: text.includes("PostgreSQL crashed and came back") ? 1 : 0,
        recovered: count(/; ([\d,]+) jobs? recovered/),
      },
      directory: "/home/ada/howdah",
      manifest: found(/Manifest +(.+)/),
      problems: [],
      vanished: 0,
      interrupted: false,
    } as unknown as Parameters<typeof printResult>[1],
  );
  return lines.filter((line) => line !== "");
}

it("the recording of the demo ends with what the demo prints today", () => {
  const shown = lastFrame();
  const result = shown.slice(shown.findIndex((line) => line.startsWith("Done: ")));
  // The speed is that of more digits than are shown.
  const withoutSpeed = (lines: readonly string[]) => lines.map((line) => line.replace(/(?<=^Speed +)[\d,]+/, "N"));
  expect(withoutSpeed(result)).toEqual(withoutSpeed(printedAgain(shown.join("\n"))));
  expect(result.length).toBeGreaterThan(6);
});
