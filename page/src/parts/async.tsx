import type { ComponentChildren } from "preact";
import type { Problem } from "../api/problem.ts";
import type { ViewState } from "../api/view-state.ts";
import { durationText } from "../format/durations.ts";
import { usePage } from "../page.ts";
import { Icon } from "./icons.tsx";

interface AsyncProps<T> {
  readonly state: ViewState<T>;
  /** What can be asked for again: the path of the API. */
  readonly path: string;
  /** The height of what is awaited, in rows. */
  readonly rows?: number;
  /** Instead of the usual words, where a failure is an answer. */
  readonly failed?: (problem: Problem) => ComponentChildren;
  readonly children: (data: T) => ComponentChildren;
}

/** Something that is read: a skeleton at first, old data greyed with their age, and a failure as what it is. */
export function Async<T>({ state, path, rows = 6, failed, children }: AsyncProps<T>) {
  switch (state.kind) {
    case "loading":
      return <Waiting patience={state.patience} path={path} rows={rows} />;
    case "ready":
      return <>{children(state.data)}</>;
    case "stale":
      return (
        <>
          <Stale at={state.at} problem={state.problem} retryAt={state.retryAt} path={path} />
          <div class="stale">{children(state.data)}</div>
        </>
      );
    case "failed":
      return <>{failed?.(state.problem) ?? <Failed problem={state.problem} retryAt={state.retryAt} path={path} />}</>;
  }
}

function Waiting({ patience, path, rows }: { patience: "none" | "skeleton" | "word"; path: string; rows: number }) {
  if (patience === "none") return <div class="skeleton unseen" data-rows={rows} />;
  return (
    <div aria-busy="true">
      {patience === "word" && (
        <p class="notice" role="status">
          <span>The database did not answer in 2 s. The answer is still awaited.</span> <Again path={path} />
        </p>
      )}
      <div class="skeleton" aria-label="Loading" role="img">
        {Array.from({ length: rows }, (_, index) => (
          <i key={index} />
        ))}
      </div>
    </div>
  );
}

function Stale({ at, problem, retryAt, path }: { at: number; problem: Problem; retryAt: number; path: string }) {
  const page = usePage();
  const age = Math.max(0, page.clock.now() - at);
  // Read, so that the age goes on.
  void page.now.value;
  return (
    <p class="notice bad" role="alert">
      <Icon name="warning" />
      <span>
        {problem.message} What you see is <b>{durationText(age)} old</b>.{" "}
        <Countdown problem={problem} retryAt={retryAt} />
      </span>
      <Again path={path} />
    </p>
  );
}

function Failed({ problem, retryAt, path }: { problem: Problem; retryAt: number; path: string }) {
  return (
    <div class="notice bad tall" role="alert">
      <Icon name="warning" />
      <div>
        <b>{TITLES[problem.kind]}</b>
        <p>{problem.message}</p>
        {problem.code !== "" && <p class="quiet mono">{problem.code}</p>}
        <p class="quiet">
          This is not an empty list: nothing is known. <Countdown problem={problem} retryAt={retryAt} />
        </p>
      </div>
      <Again path={path} />
    </div>
  );
}

const TITLES: Readonly<Record<Problem["kind"], string>> = {
  unreachable: "The server cannot be reached",
  slow: "The database did not answer in time",
  unauthorised: "You are not signed in",
  forbidden: "You may not see this",
  gone: "There is no such thing",
  refused: "The server did not understand the question",
  failed: "The server failed",
};

function Countdown({ problem, retryAt }: { problem: Problem; retryAt: number }) {
  const page = usePage();
  void page.now.value;
  if (problem.kind !== "unreachable" && problem.kind !== "failed") return null;
  const seconds = Math.ceil((retryAt - page.clock.now()) / 1_000);
  return <>{seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now."}</>;
}

function Again({ path }: { path: string }) {
  const page = usePage();
  return (
    <button type="button" class="small" onClick={() => page.resource(path).reload()}>
      Try again
    </button>
  );
}
