import { expect, it } from "vitest";
import { initial, step, type Event, type State } from "../../src/job/claim/local-queue/machine.ts";
import { readProjectFile } from "./project-tree.ts";

const SHUTDOWN = "the worker shuts down";

/** Everything that can happen to a local queue. */
const EVENTS: readonly Event[] = [
  { type: "started" },
  { type: "pulsed" },
  { type: "pollDue" },
  ...[0, 1].flatMap((count) =>
    [true, false].flatMap((more) => [true, false].map((delay): Event => ({ type: "fetched", count, more, delay }))),
  ),
  { type: "fetchFailed" },
  { type: "delayOver" },
  { type: "drained" },
  { type: "ttlDue" },
  { type: "asked" },
  { type: "suspended" },
  { type: "released" },
];

/** The changes of mode that the code makes, by trying every event in every state that can be reached. */
function changesInCode(): string[] {
  const changes = new Set<string>();
  const seen = new Set<string>();
  const open: State[] = [initial];
  for (let state = open.pop(); state; state = open.pop()) {
    if (seen.has(JSON.stringify(state))) continue;
    seen.add(JSON.stringify(state));
    for (const event of EVENTS) {
      // An answer comes only to a fetch that is under way.
      if ((event.type === "fetched" || event.type === "fetchFailed") && !state.fetching) continue;
      const [next] = step(state, event);
      if (next.mode !== state.mode) changes.add(`${state.mode} > ${next.mode}`);
      open.push(next);
    }
  }
  return [...changes].sort();
}

interface Row {
  readonly mode: string;
  readonly reason: string;
  readonly next: string | undefined;
}

/** The rows of the table in the machine's first comment; a row without a mode belongs to the one before. */
function tableRows(): Row[] {
  const [comment = ""] = /\/\*\*[\s\S]*?\*\//.exec(readProjectFile("src/job/claim/local-queue/machine.ts")) ?? [];
  const lines = comment.split("\n").map((line) => line.replace(/^ \* ?/, ""));
  const head = lines.findIndex((line) => line.trim().startsWith("mode "));
  const reasonAt = lines[head]?.indexOf("leaves when") ?? -1;
  const rows: Row[] = [];
  for (const line of lines.slice(head + 1, lines.indexOf("", head))) {
    const [reason = "", next] = line.slice(reasonAt).split("->");
    const mode = /^ {2}(\w+)/.exec(line)?.[1] ?? rows.at(-1)?.mode ?? "";
    rows.push({ mode, reason: reason.trim(), next: next?.trim() });
  }
  return rows;
}

/** The arrows of the first drawing of docs/internals/states.md, as [from, to, label]. */
function arrows(): [string, string, string][] {
  const [, drawing = ""] = /```mermaid\n([\s\S]*?)```/.exec(readProjectFile("docs/internals/states.md")) ?? [];
  return [...drawing.matchAll(/^ *(\w+) --> (\w+): (.*)$/gm)].map(([, from = "", to = "", label = ""]) => [
    from,
    to,
    label,
  ]);
}

const withReleases = (changes: readonly string[], modes: readonly string[]): string[] =>
  [...changes, ...modes.filter((mode) => mode !== "released").map((mode) => `${mode} > released`)].sort();

it("the table at the top of the machine says when each mode is left, as the code does", () => {
  const rows = tableRows();
  const changes = rows.flatMap(({ mode, next }) => (next === undefined ? [] : [`${mode} > ${next}`]));
  const modes = [...new Set(rows.map(({ mode }) => mode))];
  expect(modes).toEqual(["starting", "polling", "waiting", "ttlExpired", "released"]);
  expect(withReleases(changes, modes)).toEqual(changesInCode());
  expect(rows.find(({ mode }) => mode === "released")?.reason).toBe("never");
});

it("the drawing shows the changes that the code makes, and no others", () => {
  expect(
    arrows()
      .map(([from, to]) => `${from} > ${to}`)
      .sort(),
  ).toEqual(changesInCode());
});

it("the drawing gives the reasons of the table", () => {
  const reasons = new Map(tableRows().map(({ mode, reason, next }) => [`${mode} > ${next}`, reason]));
  for (const [from, to, label] of arrows()) {
    expect(label).toBe(to === "released" ? SHUTDOWN : reasons.get(`${from} > ${to}`));
  }
});
