import { formatSeconds } from "../../client/views/amounts.ts";
import { describeHolder } from "../../client/views/holder.ts";
import { describeWhen } from "../../client/views/when.ts";
import { printable } from "../printable.ts";
import type { Column } from "../table.ts";
import type { Facts } from "./facts.ts";
import { formatAmount } from "./numbers.ts";
import type { Past } from "./past.ts";
import type { Subject, Tab, WatchState } from "./watch-state.ts";

/** The rows of a tab, in order and filtered, with the columns that show them. */
export interface Sheet {
  readonly columns: readonly Column<SheetRow>[];
  readonly rows: readonly SheetRow[];
  /** What the rows are sorted by. */
  readonly order: string;
}

/** A row with the text of each column. */
export interface SheetRow {
  readonly subject: Subject;
  readonly cells: readonly string[];
  /** What each order sorts by. */
  readonly ranks: readonly (number | string)[];
  readonly isAlarming: boolean;
}

/** The sheet of the tab that is open. */
export function sheetOf({ tab, filter, order, facts, past }: WatchState): Sheet {
  const { columns, orders, rows } = past === undefined ? PAGES[tab] : PAST_PAGE;
  const index = order % orders.length;
  const all = past !== undefined ? pastRows(tab, past) : facts === undefined ? [] : rows(facts);
  const wanted = all.filter(({ cells }) => cells.some((cell) => cell.toLowerCase().includes(filter.toLowerCase())));
  return {
    columns: columns.map((column, place) => ({ ...column, text: ({ cells }: SheetRow) => cells[place] ?? "" })),
    rows: wanted.sort((a, b) => compare(a.ranks[index], b.ranks[index])),
    order: orders[index] ?? "",
  };
}

interface Page {
  readonly columns: readonly Omit<Column<SheetRow>, "text">[];
  readonly orders: readonly string[];
  rows(facts: Facts): SheetRow[];
}

/** The largest number first, names as they are read. */
function compare(a: number | string | undefined, b: number | string | undefined): number {
  if (typeof a === "number" && typeof b === "number") return b - a;
  return String(a).localeCompare(String(b));
}

const PAGES: Readonly<Record<Tab, Page>> = {
  tasks: {
    columns: [
      { title: "TASK", flexible: true },
      { title: "READY", align: "right" },
      { title: "SCHEDULED", align: "right", dispensable: 2 },
      { title: "RUN", align: "right" },
      { title: "FAILED", align: "right" },
      { title: "", dispensable: 1 },
    ],
    orders: ["ready", "failed", "name"],
    rows: ({ tasks, workers, pausedTasks }) =>
      tasks.map(({ name, ready, scheduled, running, failed }) => {
        const isPaused = pausedTasks.includes(name);
        const isUnknown = !isPaused && ready.value > 0 && !isKnown(name, workers);
        return {
          subject: { kind: "task", name, isPaused },
          cells: [
            printable(name),
            formatAmount(ready),
            formatAmount(scheduled),
            formatAmount(running),
            formatAmount(failed),
            isPaused ? "paused" : isUnknown ? "no worker runs it" : "",
          ],
          ranks: [ready.value, failed.value, name],
          isAlarming: isUnknown,
        };
      }),
  },
  queues: {
    columns: [
      { title: "QUEUE", flexible: true },
      { title: "JOBS", align: "right" },
      { title: "READY", align: "right" },
      { title: "HELD BY", flexible: true, dispensable: 1 },
      { title: "" },
    ],
    orders: ["jobs", "name"],
    rows: ({ queues, workers }) =>
      queues.map(({ name, jobCount, readyCount, lockedBy, isPaused, limits }) => {
        const isStuck = workers.some(({ id, isStale }) => isStale && id === lockedBy);
        return {
          subject: { kind: "queue", name, isPaused },
          cells: [
            printable(name),
            formatAmount(jobCount),
            formatAmount(readyCount),
            printable(describeHolder({ lockedBy, limits })),
            isPaused ? "paused" : isStuck ? "its worker is silent" : "",
          ],
          ranks: [jobCount.value, name],
          isAlarming: isStuck,
        };
      }),
  },
  workers: {
    columns: [
      { title: "WORKER", flexible: true },
      { title: "HOST", flexible: true, dispensable: 3 },
      { title: "PID", align: "right", dispensable: 2 },
      { title: "SLOTS", align: "right" },
      { title: "HEARTBEAT", dispensable: 1 },
      { title: "SESSION" },
      { title: "" },
    ],
    orders: ["name"],
    rows: ({ at, workers }) =>
      workers.map(({ id, metadata, lastHeartbeatAt, session, isStale }) => ({
        subject: { kind: "worker", name: id, isPaused: false },
        cells: [
          printable(id),
          said(metadata, "host"),
          said(metadata, "pid"),
          said(metadata, "concurrency"),
          describeWhen(lastHeartbeatAt, at),
          session,
          isStale ? "silent" : "",
        ],
        ranks: [id],
        isAlarming: isStale,
      })),
  },
  running: {
    columns: [
      { title: "ID", align: "right" },
      { title: "TASK", flexible: true },
      { title: "QUEUE", flexible: true, dispensable: 2 },
      { title: "SINCE" },
      { title: "TRIES", align: "right", dispensable: 3 },
      { title: "ON", flexible: true, dispensable: 1 },
    ],
    orders: ["longest", "task"],
    rows: ({ at, running }) =>
      running.map(({ id, task, queueName, lockedAt, lockedBy, attempts, maxAttempts }) => ({
        subject: { kind: "job", name: id, isPaused: false },
        cells: [
          id,
          printable(task),
          printable(queueName ?? ""),
          lockedAt === null ? "" : describeWhen(lockedAt, at),
          `${attempts}/${maxAttempts}`,
          printable(lockedBy ?? ""),
        ],
        ranks: [at - (lockedAt?.getTime() ?? at), task],
        isAlarming: false,
      })),
  },
  failed: {
    columns: [
      { title: "ID", align: "right" },
      { title: "TASK", flexible: true },
      { title: "FAILED", dispensable: 1 },
      { title: "TRIES", align: "right", dispensable: 2 },
      { title: "ERROR", flexible: true },
    ],
    orders: ["newest", "task"],
    rows: ({ at, failed }) =>
      failed.map(({ id, task, updatedAt, attempts, maxAttempts, lastError }) => ({
        subject: { kind: "job", name: id, isPaused: false },
        cells: [
          id,
          printable(task),
          describeWhen(updatedAt, at),
          `${attempts}/${maxAttempts}`,
          printable((lastError ?? "").split("\n", 1)[0] ?? ""),
        ],
        ranks: [updatedAt.getTime(), task],
        isAlarming: false,
      })),
  },
  schedules: {
    columns: [
      { title: "ID", flexible: true },
      { title: "TASK", flexible: true },
      { title: "SCHEDULE", dispensable: 2 },
      { title: "LAST", dispensable: 1 },
      { title: "NEXT" },
      { title: "" },
    ],
    orders: ["name"],
    rows: ({ at, schedules }) =>
      schedules.map(({ id, task, schedule, lastTick, nextTick, isPaused, isTaskKnown }) => ({
        subject: { kind: "schedule", name: id, isPaused },
        cells: [
          printable(id),
          printable(task),
          printable(schedule),
          lastTick === null ? "" : describeWhen(lastTick, at),
          nextTick === null ? "" : describeWhen(nextTick, at),
          isPaused ? "paused" : isTaskKnown ? "" : "no worker runs it",
        ],
        ranks: [id],
        isAlarming: !isPaused && !isTaskKnown,
      })),
  },
};

/** Of a moment the tasks and the queues are known whose due jobs were the oldest. */
const PAST_PAGE: Page = {
  columns: [
    { title: "NAME", flexible: true },
    { title: "DUE", align: "right" },
    { title: "OLDEST", align: "right" },
  ],
  orders: ["oldest", "due", "name"],
  rows: () => [],
};

function pastRows(tab: Tab, { moment }: Past): SheetRow[] {
  if (tab !== "tasks" && tab !== "queues") return [];
  return (moment?.[tab] ?? []).map(({ name, jobCount, oldestMs }) => ({
    // Nothing is done to what was.
    subject: { kind: "moment", name, isPaused: false },
    cells: [printable(name), formatAmount({ value: jobCount, exact: true }), formatSeconds(oldestMs / 1_000)],
    ranks: [oldestMs, jobCount, name],
    isAlarming: false,
  }));
}

/** Does a live worker run this task? One that does not say what it runs may. */
function isKnown(task: string, workers: Facts["workers"]): boolean {
  return workers.some(({ isStale, report, metadata }) => {
    const tasks = metadata?.["tasks"];
    const saysAll = Array.isArray(tasks) && (report === null || report.moreTasks === 0);
    return !isStale && (!saysAll || tasks.includes(task));
  });
}

function said(metadata: Readonly<Record<string, unknown>> | null, name: string): string {
  const value = metadata?.[name];
  return typeof value === "string" || typeof value === "number" ? printable(String(value)) : "";
}
