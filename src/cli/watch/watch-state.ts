import type { Sample } from "../../client/samples.ts";
import type { Facts } from "./facts.ts";
import { lastOf, moved, type Past, minuteOf } from "./past.ts";

/**
 * What `howdah watch` shows and what it is about to do, as a pure function of
 * facts and keys. `watch-view.ts` draws it; `watch.ts` carries the effects out.
 *
 *   prompt    a key                          leads to
 *   none      1 to 6, left, right            another tab
 *             up, down, j, k, home, end      another row
 *             /                              filter
 *             enter                          the job of the row, with why it waits
 *             s                              the next order of the rows
 *             p                              pauses or resumes the row
 *             r, c                           confirm, for failed jobs, open ones
 *             space                          no new facts, until space again
 *             [, ]                           a minute back, and forward again, in the samples
 *             {, }                           the same by an hour
 *             q, escape                      closes what is open, returns to now, else the end
 *   filter    text, backspace                the rows with that text
 *             enter, escape                  none, with the filter, without it
 *   confirm   text, backspace
 *             enter                          none; the change, when "yes" was typed
 *             escape                         none
 */
export interface WatchState {
  readonly tab: Tab;
  readonly selected: number;
  readonly order: number;
  readonly filter: string;
  readonly isFrozen: boolean;
  readonly isHelpOpen: boolean;
  readonly prompt: Prompt | undefined;
  /** The lines about one job. */
  readonly detail: readonly string[] | undefined;
  /** What was done last, or went wrong. */
  readonly message: string;
  readonly facts: Facts | undefined;
  /** One point for each look, the newest last. */
  readonly history: readonly Point[];
  /** The past that is shown in place of the facts. */
  readonly past: Past | undefined;
}

/** The lists, by the digit that opens them. */
export const TABS = ["tasks", "queues", "workers", "running", "failed", "schedules"] as const;
export type Tab = (typeof TABS)[number];

/** What is typed into the last line. */
export type Prompt =
  | { readonly kind: "filter"; readonly text: string }
  | { readonly kind: "confirm"; readonly change: Change; readonly question: string; readonly text: string };

/** One look, as far as it is compared with others. */
export interface Point {
  readonly at: number;
  readonly newestId: number;
  /** Jobs in any state. */
  readonly total: number;
  readonly ready: number;
}

/** What a row is about. */
export interface Subject {
  readonly kind: "task" | "queue" | "worker" | "job" | "schedule" | "moment";
  readonly name: string;
  readonly isPaused: boolean;
}

/** A change that an operator asks for. */
export interface Change {
  readonly action: "pause" | "resume" | "retry" | "cancel";
  readonly subject: Subject;
}

/** What is to be done about a key. */
export type WatchEffect =
  | { readonly type: "quit" }
  | { readonly type: "refresh" }
  | { readonly type: "show"; readonly id: string }
  /** Reads the samples of the last day. */
  | { readonly type: "remember" }
  /** Reads the groups of the sample at the cursor. */
  | { readonly type: "recall"; readonly at: Date }
  /** Counts what a change is about, and asks. */
  | { readonly type: "preview"; readonly change: Change }
  | { readonly type: "change"; readonly change: Change };

/** Before anything was read. */
export const initialWatch: WatchState = {
  tab: "tasks",
  selected: 0,
  order: 0,
  filter: "",
  isFrozen: false,
  isHelpOpen: false,
  prompt: undefined,
  detail: undefined,
  message: "",
  facts: undefined,
  history: [],
  past: undefined,
};

/** A key, as `readline` names it. */
export interface Key {
  readonly name: string;
  /** What it types. */
  readonly text: string;
  readonly ctrl: boolean;
}

/** The state after new facts; frozen ones stay. */
export function look(state: WatchState, facts: Facts): WatchState {
  if (state.isFrozen) return state;
  const history = [...state.history, pointOf(facts)].slice(-HISTORY);
  return { ...state, facts, history };
}

/** The state after a key, and what to do. `subject` is what the selected row is about, `rows` how many rows there are. */
export function press(state: WatchState, key: Key, { subject, rows }: Shown): Pressed {
  if (key.ctrl) return key.name === "c" ? [state, { type: "quit" }] : [state];
  if (state.prompt?.kind === "filter") return [typeFilter(state, state.prompt, key)];
  if (state.prompt?.kind === "confirm") return confirm(state, state.prompt, key);
  const quiet = { ...state, message: "" };
  const steps = STEPS[key.text];
  if (steps !== undefined) return travel(quiet, steps);
  switch (key.name) {
    case "q":
    case "escape":
      return close(quiet);
    case "return":
    case "enter":
      return subject?.kind === "job" ? [quiet, { type: "show", id: subject.name }] : [quiet];
    case "space":
      return [{ ...quiet, isFrozen: !state.isFrozen }, state.isFrozen ? { type: "refresh" } : undefined];
    case "s":
      return [{ ...quiet, order: state.order + 1, selected: 0 }];
    case "p":
      return [quiet, pauseOf(subject)];
    case "r":
      return [quiet, changeOf("retry", subject)];
    case "c":
      return [quiet, changeOf("cancel", subject)];
    default:
      return [move(quiet, key, rows)];
  }
}

/** What a key leads to. */
export type Pressed = readonly [WatchState, (WatchEffect | undefined)?];

/** What the screen shows. */
export interface Shown {
  readonly subject: Subject | undefined;
  readonly rows: number;
}

/** How many looks the trends and rates are of: ten minutes at one in two seconds. */
const HISTORY = 300;

/** Jobs added and ended each second, over the looks of the last half minute; `undefined` before there are two. */
export function ratesOf(history: readonly Point[]): { readonly added: number; readonly ended: number } | undefined {
  const last = history.at(-1);
  const first = last && history.find(({ at }) => at >= last.at - 30_000);
  if (last === undefined || first === undefined || last.at <= first.at) return undefined;
  const seconds = (last.at - first.at) / 1_000;
  const added = Math.max(0, last.newestId - first.newestId) / seconds;
  return { added, ended: Math.max(0, added - (last.total - first.total) / seconds) };
}

function pointOf({ at, newestId, stats }: Facts): Point {
  const { ready, scheduled, running, failed } = stats;
  const total = ready.value + scheduled.value + running.value + failed.value;
  return { at, newestId: Number(newestId ?? 0), total, ready: ready.value };
}

/** Minutes, by the text of the key. */
const STEPS: Readonly<Record<string, number>> = { "[": -1, "]": 1, "{": -60, "}": 60 };

/** The state after the samples of a day were read: at the last of them. */
export function remembered(state: WatchState, samples: readonly Sample[]): Pressed {
  const past = lastOf(samples);
  return past ? at(state, past) : [{ ...state, message: "There are no samples: no worker has taken any." }];
}

/** The state with the groups of a moment, if that is still the one that is shown. */
export function recalled(state: WatchState, atMs: number, moment: Sample | undefined): WatchState {
  const { past } = state;
  return past && minuteOf(past).getTime() === atMs ? { ...state, past: { ...past, moment } } : state;
}

function travel(state: WatchState, minutes: number): Pressed {
  if (state.past === undefined) return minutes < 0 ? [state, { type: "remember" }] : [state];
  const past = moved(state.past, minutes);
  return past ? at(state, past) : [present(state), { type: "refresh" }];
}

function at(state: WatchState, past: Past): Pressed {
  return [
    { ...state, past, detail: undefined, selected: 0 },
    { type: "recall", at: minuteOf(past) },
  ];
}

function present(state: WatchState): WatchState {
  return { ...state, past: undefined, selected: 0 };
}

function close(state: WatchState): Pressed {
  if (state.detail !== undefined || state.isHelpOpen) return [{ ...state, detail: undefined, isHelpOpen: false }];
  if (state.past !== undefined) return [present(state), { type: "refresh" }];
  if (state.filter !== "") return [{ ...state, filter: "", selected: 0 }];
  return [state, { type: "quit" }];
}

function move(state: WatchState, { name, text }: Key, rows: number): WatchState {
  const index = TABS.indexOf(state.tab);
  const step = { up: -1, k: -1, down: 1, j: 1, pageup: -10, pagedown: 10, home: -rows, end: rows }[name];
  if (step !== undefined) {
    const selected = Math.max(0, Math.min(rows - 1, state.selected + step));
    return { ...state, selected };
  }
  if (name === "left" || name === "right" || name === "tab") {
    const next = (index + (name === "left" ? TABS.length - 1 : 1)) % TABS.length;
    return open(state, TABS[next] ?? state.tab);
  }
  if (text === "/") return { ...state, prompt: { kind: "filter", text: state.filter } };
  if (text === "?") return { ...state, isHelpOpen: !state.isHelpOpen };
  return open(state, TABS[Number(text) - 1] ?? state.tab);
}

function open(state: WatchState, tab: Tab): WatchState {
  return tab === state.tab ? state : { ...state, tab, selected: 0, order: 0, detail: undefined };
}

function typeFilter(state: WatchState, prompt: { readonly text: string }, key: Key): WatchState {
  if (key.name === "escape") return { ...state, prompt: undefined, filter: "", selected: 0 };
  if (key.name === "return" || key.name === "enter") return { ...state, prompt: undefined };
  const text = typed(prompt.text, key);
  return { ...state, prompt: { kind: "filter", text }, filter: text, selected: 0 };
}

function confirm(state: WatchState, prompt: Extract<Prompt, { kind: "confirm" }>, key: Key): Pressed {
  const closed = { ...state, prompt: undefined, message: "Nothing was changed." };
  if (key.name === "escape") return [closed];
  if (key.name !== "return" && key.name !== "enter")
    return [{ ...state, prompt: { ...prompt, text: typed(prompt.text, key) } }];
  if (prompt.text !== "yes") return [closed];
  return [
    { ...state, prompt: undefined, message: "" },
    { type: "change", change: prompt.change },
  ];
}

function typed(text: string, { name, text: more }: Key): string {
  if (name === "backspace") return text.slice(0, -1);
  return /^[^\p{C}]$/u.test(more) ? text + more : text;
}

function pauseOf(subject: Subject | undefined): WatchEffect | undefined {
  if (subject === undefined || !PAUSABLE.has(subject.kind)) return undefined;
  return { type: "change", change: { action: subject.isPaused ? "resume" : "pause", subject } };
}

const PAUSABLE: ReadonlySet<Subject["kind"]> = new Set(["task", "queue", "schedule"]);

function changeOf(action: "retry" | "cancel", subject: Subject | undefined): WatchEffect | undefined {
  const isOfJobs = subject?.kind === "task" || subject?.kind === "queue" || subject?.kind === "job";
  return subject !== undefined && isOfJobs ? { type: "preview", change: { action, subject } } : undefined;
}
