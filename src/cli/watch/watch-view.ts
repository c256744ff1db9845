import type { createColors } from "picocolors";
import { describeWhen } from "../../client/views/when.ts";
import { formatTable } from "../table.ts";
import type { Facts } from "./facts.ts";
import { formatAmount, rateOf, trendOf } from "./numbers.ts";
import { describePast, minuteOf } from "./past.ts";
import { sheetOf, type SheetRow } from "./watch-sheets.ts";
import { ratesOf, type Shown, TABS, type WatchState } from "./watch-state.ts";

/** What the screen can show. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
  /** Only ASCII, for terminals that can do nothing else. */
  readonly isPlain: boolean;
}

/** How a view is painted, and what it is called. */
export interface ViewSettings {
  readonly paint: ReturnType<typeof createColors>;
  /** The database and the schema. */
  readonly title: string;
  /** The time of this machine. */
  readonly now: number;
}

/** Draws the state: exactly as many lines as the screen has, none wider than it. */
export function viewOf(state: WatchState, size: Size, settings: ViewSettings): string[] {
  const { rows } = size;
  const head = [...headOf(state, size, settings), ...alarmsOf(state, size, settings), tabsOf(state, size, settings)];
  const foot = [footOf(state, size, settings)];
  const body = bodyOf(state, { ...size, rows: Math.max(0, rows - head.length - foot.length) }, settings);
  const all = [...head.slice(0, rows - 1), ...body, ...foot].slice(0, rows);
  return all.map((line) => (size.isPlain ? line.replaceAll(NOT_PLAIN, "?") : line));
}

/** What the selected row is about, and how many rows there are. */
export function shownOf(state: WatchState): Shown {
  const { rows } = sheetOf(state);
  return { subject: rows[Math.min(state.selected, rows.length - 1)]?.subject, rows: rows.length };
}

/** The state with the row selected that was selected before, wherever new facts have put it: a key is never about another one. */
export function followed(before: WatchState, now: WatchState): WatchState {
  const { subject } = shownOf(before);
  const selected = sheetOf(now).rows.findIndex(
    (row) => row.subject.kind === subject?.kind && row.subject.name === subject.name,
  );
  return selected < 0 ? now : { ...now, selected };
}

function headOf(state: WatchState, size: Size, settings: ViewSettings): string[] {
  const { facts, past } = state;
  const first = titleOf(state, size, settings);
  if (past !== undefined) return [first, ...wrap(describePast(past, size), size.columns)];
  if (facts === undefined) return [first, ""];
  return [first, ...wrap(presentParts(facts, state, size), size.columns)];
}

function titleOf({ facts, past, isFrozen }: WatchState, size: Size, { paint, title, now }: ViewSettings): string {
  const shownAt = past === undefined ? now : minuteOf(past).getTime();
  const time = `${new Date(shownAt).toISOString().slice(11, 19)}Z`;
  const keys = past === undefined ? "q quit  ? keys" : "[ ] move  q now";
  const age = past !== undefined ? describeWhen(new Date(shownAt), now) : ageOf(facts, isFrozen, now);
  const left = cut(`howdah watch  ${title}`, size.columns - time.length - age.length - keys.length - 6);
  return `${paint.bold(left)}  ${time}  ${paint.dim(age)}  ${paint.dim(keys)}`;
}

function ageOf(facts: Facts | undefined, isFrozen: boolean, now: number): string {
  if (facts === undefined) return "reading ...";
  return isFrozen ? "frozen" : `${Math.round((now - facts.at) / 1_000)} s old`;
}

function presentParts(facts: Facts, { history }: WatchState, size: Size): string[] {
  const { ready, scheduled, running, failed } = facts.stats;
  const slots = facts.workers.reduce((sum, { metadata }) => sum + Number(metadata?.["concurrency"] ?? 0), 0);
  const rates = ratesOf(history);
  const trend = trendOf(
    history.map((point) => point.ready),
    size.isPlain,
  );
  const parts = [
    `ready ${formatAmount(ready)} ${trend}`.trimEnd(),
    facts.oldestDue === null ? undefined : `oldest ${describeWhen(facts.oldestDue, facts.at)}`,
    `running ${formatAmount(running)}${slots > 0 ? `/${slots}` : ""}`,
    `scheduled ${formatAmount(scheduled)}`,
    `failed ${formatAmount(failed)}`,
    rates === undefined ? undefined : `in ${rateOf(rates.added)}/s  out ${rateOf(rates.ended)}/s`,
    facts.idleWorkers === 0 ? undefined : `${facts.idleWorkers} idle`,
  ];
  return parts.filter((part) => part !== undefined);
}

/** What needs a person, two lines of it at most. */
function alarmsOf(state: WatchState, { columns }: Size, { paint }: ViewSettings): string[] {
  if (state.facts === undefined || state.past !== undefined) return [];
  const found = TABS.flatMap((tab) =>
    sheetOf({ ...state, tab, filter: "", order: 0 })
      .rows.filter(({ isAlarming }) => isAlarming)
      .map(({ subject, cells }) => ({ what: `! ${subject.kind} ${cells[0]}`, trouble: `: ${cells.at(-1)}` })),
  );
  const shown = found.slice(0, 2);
  const more = found.length - shown.length;
  return shown.map(({ what, trouble }, index) => {
    // A long name is cut, and not what is wrong with it.
    const end = `${trouble}${index === 1 && more > 0 ? `, and ${more} more` : ""}`;
    return paint.yellow(cut(`${cut(what, Math.max(NAME, columns - end.length))}${end}`, columns));
  });
}

/** As much is left of a name in any case. */
const NAME = 12;

function tabsOf(state: WatchState, { columns }: Size, { paint }: ViewSettings): string {
  const names = TABS.map((tab, index) => (tab === state.tab ? `[${index + 1} ${tab}]` : `${index + 1} ${tab}`));
  const line = cut(names.join(" "), columns);
  const open = `[${TABS.indexOf(state.tab) + 1} ${state.tab}]`;
  return line.replace(open, paint.bold(open));
}

function bodyOf(state: WatchState, size: Size, settings: ViewSettings): string[] {
  const lines = state.isHelpOpen ? HELP : (state.detail ?? tableOf(state, size, settings));
  const shown = lines.slice(0, size.rows);
  return [...shown, ...Array.from({ length: size.rows - shown.length }, () => "")];
}

/** The rows around the selected one. */
function tableOf(state: WatchState, size: Size, { paint }: ViewSettings): string[] {
  const { columns, rows } = sheetOf(state);
  if (rows.length === 0) return [paint.dim(nothingOf(state))];
  const selected = Math.min(state.selected, rows.length - 1);
  const visible = Math.max(1, size.rows - 1);
  const start = Math.max(0, Math.min(selected - Math.floor(visible / 2), rows.length - visible));
  const seen = rows.slice(start, start + visible);
  const plain = { paint: NO_PAINT, width: size.columns };
  const [head = "", ...lines] = formatTable<SheetRow>(plain, columns, seen).split("\n");
  return [
    paint.dim(head),
    ...lines.map((line, index) => {
      if (start + index === selected) return paint.inverse(line.padEnd(size.columns));
      return seen[index]?.isAlarming === true ? paint.yellow(line) : line;
    }),
  ];
}

function nothingOf({ facts, past, tab }: WatchState): string {
  if (past === undefined) return facts === undefined ? "" : `No ${tab} to show.`;
  const isKept = tab === "tasks" || tab === "queues";
  return isKept ? `No due ${tab} then.` : "Of the past only tasks and queues with due jobs are kept.";
}

function footOf(state: WatchState, { columns }: Size, { paint }: ViewSettings): string {
  const { prompt, filter, message } = state;
  if (prompt?.kind === "filter") return cut(`/${prompt.text}_`, columns);
  if (prompt?.kind === "confirm") return paint.yellow(cut(`${prompt.question} Type yes: ${prompt.text}_`, columns));
  if (message !== "") return cut(message, columns);
  const { rows, order } = sheetOf(state);
  const found = filter === "" ? "" : `  /${filter}`;
  return paint.dim(cut(`${rows.length} ${state.tab} by ${order}${found}`, columns));
}

/** All but ASCII and what paints. */
const NOT_PLAIN = new RegExp(`[^ -~${String.fromCodePoint(27)}]`, "g");

const HELP = [
  "1-6, left, right   another list",
  "up, down, j, k     another row",
  "enter              one job, and why it waits",
  "/                  only rows with a text",
  "s                  another order",
  "p                  pause or resume a task, queue or schedule",
  "r                  let failed jobs run again",
  "c                  cancel jobs",
  "space              keep what is shown",
  "[, ]               a minute back, forward again; {, } an hour",
  "q, escape          back, or the end",
];

/** A table in one colour: the line of the selected row is painted as a whole. */
const NO_PAINT = { dim: (text: string) => text };

function wrap(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length + 3 <= columns) lines[lines.length - 1] = `${last}   ${part}`;
    else lines.push(` ${cut(part, columns - 1)}`);
  }
  return lines;
}

function cut(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join("")}>`;
}
