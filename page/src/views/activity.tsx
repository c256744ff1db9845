import { useLocation } from "preact-iso";
import type { ActivityAnswer } from "../../../src/admin/contract/overview-views.ts";
import { address } from "../api/api.ts";
import { dataOf } from "../api/view-state.ts";
import { useAnswer, usePage } from "../page.ts";
import { Async } from "../parts/async.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { ActivityTable } from "./activity-table.tsx";

/** Who changed what, the newest first. */
export function Activity() {
  const page = usePage();
  const { query } = useLocation();
  const before = query["before"];
  const path = address("activity", { before });
  const state = useAnswer<ActivityAnswer>(path, { isLive: before === undefined });
  return (
    <div class="view activity">
      <ViewHead title="Activity" help="activity" asOf={dataOf(state)?.asOf} />
      <Async state={state} path={path} rows={12}>
        {({ activity, next }) => (
          <>
            <ActivityTable
              activity={activity}
              empty={
                <p class="empty">
                  {next === null
                    ? "No change was made with this page or its API yet."
                    : "Nothing yet among the 10,000 changes that were looked at."}
                </p>
              }
            />
            <nav class="pages" aria-label="Pages">
              {before !== undefined && (
                <a class="button" href={page.href("activity")}>
                  Newest
                </a>
              )}
              {next !== null && (
                <a class="button" href={page.href("activity", { before: next })}>
                  {activity.length === 0 ? "Search on" : "Older"}
                </a>
              )}
            </nav>
          </>
        )}
      </Async>
    </div>
  );
}
