import type { createColors } from "picocolors";
import { describeWhen } from "../../client/views/when.ts";
import { formatTable } from "../table.ts";
import { formatAmount, sheetOf, type SheetRow } from "./watch-sheets.ts";
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

function headOf({ facts, history, isFrozen }: WatchState, size: Size, { paint, title, now }: ViewSettings): string[] {
  const time = `${new Date(now).toISOString().slice(11, 19)}Z`;
  const keys = "q quit  ? keys";
  const age =
    facts === undefined ? "reading ..." : isFrozen ? "frozen" : `${Math.round((now - facts.at) / 1_000)} s old`;
  const left = cut(`howdah watch  ${title}`, size.columns - time.length - age.length - keys.length - 6);
  const first = `${paint.bold(left)}  ${time}  ${paint.dim(age)}  ${paint.dim(keys)}`;
  if (facts === undefined) return [first, ""];
  const { ready, scheduled, running, failed } = facts.stats;
  const slots = facts.workers.reduce((sum, { metadata }) => sum + Number(metadata?.["concurrency"] ?? 0), 0);
  const rates = ratesOf(history);
  const parts = [
    `ready ${formatAmount(ready)} ${trendOf(
      history.map((point) => point.ready),
      size.isPlain,
    )}`.trimEnd(),
    facts.oldestDue === null ? undefined : `oldest ${describeWhen(facts.oldestDue, facts.at)}`,
    `running ${formatAmount(running)}${slots > 0 ? `/${slots}` : ""}`,
    `scheduled ${formatAmount(scheduled)}`,
    `failed ${formatAmount(failed)}`,
    rates === undefined ? undefined : `in ${rateOf(rates.added)}/s  out ${rateOf(rates.ended)}/s`,
  ];
  return [
    first,
    ...wrap(
      parts.filter((part) => part !== undefined),
      size.columns,
    ),
  ];
}

/** What needs a person, two lines of it at most. */
function alarmsOf(state: WatchState, { columns }: Size, { paint }: ViewSettings): string[] {
  if (state.facts === undefined) return [];
  const found = TABS.flatMap((tab) =>
    sheetOf({ ...state, tab, filter: "", order: 0 })
      .rows.filter(({ isAlarming }) => isAlarming)
      .map(({ subject, cells }) => `${subject.kind} ${cells[0]}: ${cells.at(-1)}`),
  );
  const shown = found.slice(0, 2);
  const more = found.length - shown.length;
  return shown.map((text, index) =>
    paint.yellow(cut(`! ${text}${index === 1 && more > 0 ? `, and ${more} more` : ""}`, columns)),
  );
}

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
  if (rows.length === 0) return [paint.dim(state.facts === undefined ? "" : `No ${state.tab} to show.`)];
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

/** Blocks of one to eight eighths. */
const BARS = {
  fancy: Array.from({ length: 8 }, (_, index) => String.fromCodePoint(0x2581 + index)),
  plain: Array.from(".:-=+*#@"),
};

/** Eight bars, each the mean of a part of the looks. */
function trendOf(values: readonly number[], isPlain: boolean): string {
  if (values.length < 2) return "";
  const size = Math.ceil(values.length / 8);
  const means = Array.from({ length: Math.ceil(values.length / size) }, (_, index) => {
    const part = values.slice(index * size, (index + 1) * size);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const most = Math.max(1, ...means);
  const bars = isPlain ? BARS.plain : BARS.fancy;
  return means.map((mean) => bars[Math.min(7, Math.floor((mean / most) * 8))]).join("");
}

function rateOf(rate: number): string {
  return rate < 9.95 ? rate.toFixed(1) : formatAmount({ value: rate, exact: true });
}

function cut(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join("")}>`;
}
