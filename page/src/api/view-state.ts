import type { Problem } from "./problem.ts";

/**
 * What a view knows of what it shows. A failed request never looks like an
 * empty list: without data it is `failed`, and with data of an earlier answer
 * the data stay, as `stale`, and say how old they are.
 */
export type ViewState<T> =
  | { readonly kind: "loading"; readonly patience: Patience }
  | { readonly kind: "ready"; readonly data: T; readonly at: number; readonly isAsking: boolean }
  | { readonly kind: "stale"; readonly data: T; readonly at: number; readonly problem: Problem; readonly retryAt: number }
  | { readonly kind: "failed"; readonly problem: Problem; readonly retryAt: number };

/** How long a first answer takes: nothing is drawn at first, then a skeleton, then a word about it. */
export type Patience = "none" | "skeleton" | "word";

/** What happens to a view. Times are milliseconds of the clock of the browser. */
export type ViewEvent<T> =
  | { readonly type: "asked" }
  | { readonly type: "waited"; readonly ms: number }
  | { readonly type: "answered"; readonly data: T; readonly at: number }
  | { readonly type: "failed"; readonly problem: Problem; readonly retryAt: number };

/** After this a skeleton of the same height is shown. */
export const SKELETON_MS = 400;

/** After this the view says that the answer takes long. */
export const SLOW_MS = 2_000;

/** What a view shows before anything has happened. */
export const UNASKED: ViewState<never> = { kind: "loading", patience: "none" };

/** The next state of a view. */
export function nextState<T>(state: ViewState<T>, event: ViewEvent<T>): ViewState<T> {
  switch (event.type) {
    case "asked":
      return asked(state);
    case "waited":
      return state.kind === "loading" ? { kind: "loading", patience: patienceAfter(event.ms) } : state;
    case "answered":
      return { kind: "ready", data: event.data, at: event.at, isAsking: false };
    case "failed":
      return failed(state, event.problem, event.retryAt);
  }
}

/** The data of a state, however old; undefined without any. */
export function dataOf<T>(state: ViewState<T>): T | undefined {
  return "data" in state ? state.data : undefined;
}

/** How long to wait before trying again: 1, 2, 4, … at most 30 seconds. */
export function retryDelayMs(failures: number): number {
  return Math.min(30_000, 1_000 * 2 ** Math.max(0, failures - 1));
}

function asked<T>(state: ViewState<T>): ViewState<T> {
  if (state.kind === "ready") return { ...state, isAsking: true };
  // Old data stay greyed, and a failure stays in sight, until there is something better.
  return state;
}

function failed<T>(state: ViewState<T>, problem: Problem, retryAt: number): ViewState<T> {
  // What is gone or forbidden is an answer: what was shown before is not true any more.
  const isAnswer = problem.kind === "gone" || problem.kind === "forbidden" || problem.kind === "unauthorised";
  if (!("data" in state) || isAnswer) return { kind: "failed", problem, retryAt };
  return { kind: "stale", data: state.data, at: state.at, problem, retryAt };
}

function patienceAfter(ms: number): Patience {
  if (ms >= SLOW_MS) return "word";
  return ms >= SKELETON_MS ? "skeleton" : "none";
}
