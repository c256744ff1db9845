import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useMemo } from "preact/hooks";
import type { JobPageAnswer } from "../../../../src/admin/contract/job-views.ts";
import type { OverviewAnswer } from "../../../../src/admin/contract/overview-views.ts";
import type { Params } from "../../api/api.ts";
import { dataOf } from "../../api/view-state.ts";
import {
  type Condition,
  conditionText,
  filterInWords,
  filterOfQuery,
  mostSpecific,
  queryOfFilter,
  withoutCondition,
} from "../../filter/filter.ts";
import { shortNumber } from "../../format/numbers.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { ErrorGroups } from "./error-groups.tsx";
import { FilterBar } from "./filter-bar.tsx";
import { JOB_COLUMNS, columnsOf, columnsParam } from "./job-columns.tsx";
import { JobList } from "./job-list.tsx";
import { onTo, pageBefore, type PagePlace } from "./job-places.ts";
import { isNewestFirst, jobsPath } from "./job-query.ts";

/** All jobs, or those that pass a filter. Filter, columns and place are in the address. */
export function Jobs() {
  const { url } = useLocation();
  const query = url.split("?")[1] ?? "";
  const conditions = useMemo(() => filterOfQuery(query), [query]);
  const params = new URLSearchParams(query);
  const isGrouped = params.get("group") === "error";
  const go = useGo(conditions, params);
  const filter = <FilterBar conditions={conditions} onChange={(next) => go({ conditions: next, ...FIRST })} />;
  return (
    <div class="view jobs">
      {isGrouped ? (
        <>
          <ViewHead title="Errors" help="errors">
            <button type="button" aria-pressed onClick={() => go({ group: undefined })}>
              By error
            </button>
          </ViewHead>
          {filter}
          <ErrorGroups conditions={conditions} />
        </>
      ) : (
        <JobPage conditions={conditions} params={params} go={go} filter={filter} />
      )}
    </div>
  );
}

/** The first page. */
const FIRST = { after: undefined, back: undefined };

/** What changes in the address. */
interface Going {
  readonly conditions?: readonly Condition[];
  readonly after?: string | undefined;
  readonly back?: string | undefined;
  readonly columns?: string | undefined;
  readonly group?: string | undefined;
}

type Go = (to: Going) => void;

function useGo(conditions: readonly Condition[], params: URLSearchParams): Go {
  const page = usePage();
  const { route } = useLocation();
  return (to) => {
    const kept = (name: "after" | "back" | "columns" | "group"): string | undefined =>
      name in to ? to[name] : (params.get(name) ?? undefined);
    const query: Params = {
      ...queryOfFilter(to.conditions ?? conditions),
      group: kept("group"),
      columns: kept("columns"),
      after: kept("after"),
      back: kept("back"),
    };
    route(page.href("jobs", query));
  };
}

interface JobPageProps {
  readonly conditions: readonly Condition[];
  readonly params: URLSearchParams;
  readonly go: Go;
  readonly filter: ComponentChildren;
}

function JobPage({ conditions, params, go, filter }: JobPageProps) {
  const page = usePage();
  const after = params.get("after") ?? undefined;
  const back = params.get("back") ?? undefined;
  const columns = params.get("columns") ?? undefined;
  const path = useMemo(() => jobsPath({ conditions, after, now: page.now.peek() }), [conditions, after]);
  // What is further back does not change by itself, and costs the server a look each time.
  const state = useAnswer<JobPageAnswer>(path, { isLive: after === undefined });
  return (
    <>
      <ViewHead title="Jobs" help="jobs" asOf={dataOf(state)?.asOf}>
        <button type="button" aria-pressed={false} onClick={() => go({ group: "error", ...FIRST })}>
          By error
        </button>
        <ColumnChoice columns={columns} go={go} />
      </ViewHead>
      {filter}
      <Async state={state} path={path} rows={12}>
        {(answer) => (
          <>
            <JobList
              key={path}
              answer={answer}
              conditions={conditions}
              columns={columns}
              empty={<NoMatch answer={answer} conditions={conditions} after={after} back={back} go={go} />}
            />
            <Pages answer={answer} after={after} back={back} isNewestFirst={isNewestFirst(conditions)} go={go} />
          </>
        )}
      </Async>
    </>
  );
}

interface NoMatchProps extends PagePlace {
  readonly answer: JobPageAnswer;
  readonly conditions: readonly Condition[];
  readonly go: Go;
}

/** Says what was looked for, and what would find more. */
function NoMatch({ answer, conditions, after, back, go }: NoMatchProps) {
  const broadest = mostSpecific(conditions);
  const all = useJobTotal();
  const { next } = answer;
  if (next !== null) {
    return (
      <div class="empty">
        <b>Nothing yet.</b> No {filterInWords(conditions)} among up to 50,000 jobs, {searchedInWords(answer)}
        {all !== undefined && <>, of about {shortNumber(all)}</>}.{" "}
        <button type="button" class="main" onClick={() => go(onTo(next, { after, back }))}>
          Search on
        </button>
      </div>
    );
  }
  return (
    <div class="empty">
      <b>There are no {filterInWords(conditions)}.</b>{" "}
      {broadest && (
        <button type="button" onClick={() => go({ conditions: withoutCondition(conditions, broadest), ...FIRST })}>
          Without {conditionText(broadest)}
        </button>
      )}
    </div>
  );
}

/** How many jobs the table has, as the overview has it; undefined as long as that is not known. */
function useJobTotal(): number | undefined {
  const overview = dataOf(usePage().resource<OverviewAnswer>("overview").state.value);
  return overview && Object.values(overview.counts).reduce((sum, { value }) => sum + value, 0);
}

function searchedInWords({ searched }: JobPageAnswer): string {
  if (!searched) return "that were searched";
  const { from, to } = searched;
  return [from === null ? "" : `behind id ${from}`, to === null ? "to the end" : `to id ${to}`]
    .filter(Boolean)
    .join(" ");
}

interface PagesProps extends PagePlace {
  readonly answer: JobPageAnswer;
  readonly isNewestFirst: boolean;
  readonly go: Go;
}

function Pages({ answer, after, back, isNewestFirst, go }: PagesProps) {
  const [backwards, on] = isNewestFirst ? ["Newer", "Older"] : ["Before", "Next"];
  const next = answer.next;
  if (after === undefined && next === null) return null;
  const before = pageBefore({ after, back });
  return (
    <nav class="pages" aria-label="Pages">
      {after !== undefined && (
        <>
          <button type="button" onClick={() => go(FIRST)}>
            First page
          </button>
          {before && (
            <button type="button" onClick={() => go(before)}>
              {backwards}
            </button>
          )}
        </>
      )}
      {answer.searched && answer.jobs.length > 0 && <span class="quiet">Searched {searchedInWords(answer)}.</span>}
      {next !== null && (
        <button type="button" onClick={() => go(onTo(next, { after, back }))}>
          {on}
        </button>
      )}
    </nav>
  );
}

function ColumnChoice({ columns, go }: { columns: string | undefined; go: Go }) {
  const shown = columnsOf(columns).map(({ key }) => key);
  const toggle = (key: string): void => {
    const next = shown.includes(key) ? shown.filter((one) => one !== key) : [...shown, key];
    go({ columns: columnsParam(next) });
  };
  return (
    <details class="menu">
      <summary class="button">Columns</summary>
      <div class="menu-body">
        {JOB_COLUMNS.filter(({ key }) => key !== "id").map(({ key, title }) => (
          <label key={key}>
            <input type="checkbox" checked={shown.includes(key)} onChange={() => toggle(key)} />
            {title}
          </label>
        ))}
      </div>
    </details>
  );
}
