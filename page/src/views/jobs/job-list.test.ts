import { expect, it } from "vitest";
import { jobRow } from "../../../dev/fixtures.ts";
import { parseFilter } from "../../filter/filter.ts";
import { heldRows } from "./held-rows.ts";
import { columnsOf, columnsParam } from "./job-columns.tsx";
import { filterOf, isNewestFirst, jobsPath } from "./job-query.ts";
import { isPageSelected, nextSelection, NOTHING_SELECTED, type Selection, type SelectionEvent } from "./selection.ts";

const ROWS = ["5", "4", "3", "2", "1"];
const NOW = Date.UTC(2026, 10, 30);

function after(...events: readonly SelectionEvent[]): Selection {
  return events.reduce(nextSelection, NOTHING_SELECTED);
}

function keysOf({ keys }: Selection): string[] {
  return [...keys].sort((a, b) => (a < b ? -1 : 1));
}

it("selects rows, and takes them back", () => {
  expect(keysOf(after({ type: "toggle", key: "3" }, { type: "toggle", key: "1" }))).toEqual(["1", "3"]);
  expect(keysOf(after({ type: "toggle", key: "3" }, { type: "toggle", key: "3" }))).toEqual([]);
});

it("selects a range from the last row, in both directions", () => {
  const range = (from: string, key: string): string[] =>
    keysOf(after({ type: "toggle", key: from }, { type: "range", key, rows: ROWS }));
  expect([range("4", "2"), range("2", "4")]).toEqual([
    ["2", "3", "4"],
    ["2", "3", "4"],
  ]);
  expect(keysOf(after({ type: "range", key: "2", rows: ROWS }))).toEqual(["2"]);
});

it("selects the page, adds it to other pages, and takes it back", () => {
  const both = after({ type: "toggle", key: "9" }, { type: "page", rows: ROWS });
  expect([both.keys.size, isPageSelected(both, ROWS)]).toEqual([6, true]);
  expect(keysOf(nextSelection(both, { type: "page", rows: ROWS }))).toEqual(["9"]);
  expect(isPageSelected(NOTHING_SELECTED, [])).toBe(false);
});

it("selects the whole filter in place of rows, until a row is touched", () => {
  const all = after({ type: "toggle", key: "3" }, { type: "filter" });
  expect([all.isFilter, all.keys.size]).toEqual([true, 0]);
  expect(nextSelection(all, { type: "filter" })).toBe(NOTHING_SELECTED);
  expect(nextSelection(all, { type: "toggle", key: "3" }).isFilter).toBe(false);
  expect(nextSelection(all, { type: "clear" })).toBe(NOTHING_SELECTED);
});

it("changes rows in their place, and keeps newer ones until they are asked for", () => {
  const shown = [jobRow(3), jobRow(2), jobRow(1)];
  const latest = [jobRow(5), jobRow(4), jobRow(3, { state: "running" })];
  const { rows, newer } = heldRows(shown, latest);
  expect(rows.map(({ id, state }) => `${id} ${state}`)).toEqual(["3 running", "2 ready", "1 ready"]);
  expect(newer).toBe(2);
  expect(heldRows([], latest)).toEqual({ rows: latest, newer: 0 });
});

it("asks for the jobs that a worker holds", () => {
  expect(filterOf(parseFilter("worker:howdah_1").conditions, NOW)).toEqual({ workerId: "howdah_1" });
});

it("asks for the newest first, but for what waits", () => {
  const first = (text: string): boolean => isNewestFirst(parseFilter(text).conditions);
  expect([first(""), first("state:failed"), first("state:ready"), first("queue:mail"), first("task:a")]).toEqual([
    true,
    true,
    false,
    false,
    true,
  ]);
});

it("asks the API in its own words", () => {
  const { conditions } = parseFilter('task:a queue:"b c" key:k error:boom payload.account=17 age:<1h priority:-2');
  expect(filterOf(conditions, NOW)).toEqual({
    task: "a",
    queueName: "b c",
    jobKey: "k",
    error: "boom",
    payload: '{"account":17}',
    since: "2026-11-29T23:00:00.000Z",
    priority: -2,
  });
  expect(filterOf(parseFilter("age:>1d").conditions, NOW)).toEqual({ until: "2026-11-29T00:00:00.000Z" });
  expect(filterOf(parseFilter("failed:<1d").conditions, NOW)).toEqual({ failedSince: "2026-11-29T00:00:00.000Z" });
  expect(jobsPath({ conditions: [], after: undefined, now: NOW })).toBe("jobs?backward=true&limit=50");
  expect(jobsPath({ conditions: parseFilter("state:ready").conditions, after: "x", now: NOW })).toBe(
    "jobs?state=ready&after=x&limit=50",
  );
});

it("has the usual columns unless the address says otherwise", () => {
  const names = (given?: string): string =>
    columnsOf(given)
      .map(({ key }) => key)
      .join();
  expect(names()).toBe("id,state,task,queue,key,since,attempts,error");
  expect(names("worker,task,nonsense")).toBe("id,task,worker");
  expect([columnsParam(names().split(",")), columnsParam(["id", "task"])]).toEqual([undefined, "id,task"]);
});
