import { ErrorBoundary, lazy, Route, Router, useLocation } from "preact-iso";
import { useEffect } from "preact/hooks";
import { WhatIfDialog } from "../actions/what-if-dialog.tsx";
import { KeySheet } from "../keyboard/key-sheet.tsx";
import { listenToKeys } from "../keyboard/listen-to-keys.ts";
import { useCommand } from "../keyboard/use-command.ts";
import { usePage } from "../page.ts";
import { Overview } from "../views/overview/overview.tsx";
import { PLACES } from "./places.ts";
import { Rail, Tabs } from "./rail.tsx";
import { Said } from "./said.tsx";
import { TopBar } from "./top-bar.tsx";

const Jobs = lazy(async () => (await import("../views/jobs/jobs.tsx")).Jobs);
const Job = lazy(async () => (await import("../views/job/job.tsx")).Job);
const History = lazy(async () => (await import("../views/history/history.tsx")).History);
const Queues = lazy(async () => (await import("../views/queues/queues.tsx")).Queues);
const Queue = lazy(async () => (await import("../views/queues/queue.tsx")).Queue);
const Tasks = lazy(async () => (await import("../views/tasks/tasks.tsx")).Tasks);
const Task = lazy(async () => (await import("../views/tasks/task.tsx")).Task);
const Workers = lazy(async () => (await import("../views/workers/workers.tsx")).Workers);
const Worker = lazy(async () => (await import("../views/workers/worker.tsx")).Worker);
const ScheduleList = lazy(async () => (await import("../views/schedules.tsx")).ScheduleList);
const Health = lazy(async () => (await import("../views/health.tsx")).Health);
const Activity = lazy(async () => (await import("../views/activity.tsx")).Activity);
const OperationList = lazy(async () => (await import("../views/operations/operation-list.tsx")).OperationList);
const Operation = lazy(async () => (await import("../views/operations/operation.tsx")).Operation);

/** Bar, rail, tabs, and the view that the address names. */
export function Shell() {
  const page = usePage();
  const { base } = page;
  useChosen();
  useAttention();
  useEffect(() => listenToKeys(page), [page]);
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={focusMain}>
        Skip to the content
      </a>
      <Rail />
      <TopBar />
      <main id="main" tabIndex={-1}>
        <ErrorBoundary>
          <Router onRouteChange={focusMain}>
            <Route path={base} component={Overview} />
            <Route path={`${base}jobs`} component={Jobs} />
            <Route path={`${base}jobs/:id`} component={Job} />
            <Route path={`${base}history`} component={History} />
            <Route path={`${base}queues`} component={Queues} />
            <Route path={`${base}queues/:name`} component={Queue} />
            <Route path={`${base}tasks`} component={Tasks} />
            <Route path={`${base}tasks/:name`} component={Task} />
            <Route path={`${base}workers`} component={Workers} />
            <Route path={`${base}workers/:name`} component={Worker} />
            <Route path={`${base}schedules`} component={ScheduleList} />
            <Route path={`${base}health`} component={Health} />
            <Route path={`${base}activity`} component={Activity} />
            <Route path={`${base}operations`} component={OperationList} />
            <Route path={`${base}operations/:id`} component={Operation} />
            <Route default component={NoPlace} />
          </Router>
        </ErrorBoundary>
      </main>
      <Tabs />
      <Said />
      {page.isSheetOpen.value && <KeySheet />}
      {page.order.value && <WhatIfDialog key={page.order.value} order={page.order.value} />}
      <Goings />
    </div>
  );
}

function NoPlace() {
  return (
    <div class="empty">
      <h1>There is no such page</h1>
      <p>
        <a href={usePage().href("")}>To the overview</a>
      </p>
    </div>
  );
}

/** The keys that work everywhere. */
function Goings() {
  const page = usePage();
  const { route } = useLocation();
  for (const { command, path } of PLACES) {
    // The list never changes, so neither does the order of the hooks.
    useCommand(command, () => route(page.href(path)));
  }
  useCommand("sheet", () => void (page.isSheetOpen.value = true));
  useCommand("absolute-times", () => {
    const { zone } = page.settings;
    zone.value = zone.value === "relative" ? "utc" : "relative";
    page.say(zone.value === "relative" ? "Times are relative." : "Times are in UTC.");
  });
  useCommand("back", () => history.back());
  return null;
}

/** Takes what the reader chose to the root, where the styles look for it. */
function useChosen(): void {
  const { theme, density } = usePage().settings;
  useEffect(() => {
    const { dataset } = document.documentElement;
    dataset["theme"] = theme.value;
    dataset["density"] = density.value;
  }, [theme.value, density.value]);
}

/** The page goes by the second while it is in sight, and rests while it is not. */
function useAttention(): void {
  const page = usePage();
  useEffect(() => {
    let cancel = (): void => undefined;
    const tick = (): void => {
      page.tick();
      cancel = page.clock.after(1_000, tick);
    };
    const look = (): void => {
      cancel();
      if (document.hidden) return page.live.pause("hidden");
      page.live.resume("hidden");
      tick();
    };
    tick();
    document.addEventListener("visibilitychange", look);
    return () => {
      cancel();
      document.removeEventListener("visibilitychange", look);
    };
  }, [page]);
}

function focusMain(): void {
  const main = document.querySelector<HTMLElement>("#main");
  main?.focus({ preventScroll: true });
  scrollTo(0, 0);
}
