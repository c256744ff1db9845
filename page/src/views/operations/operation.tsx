import type { OperationAnswer } from "../../../../src/admin/contract/bulk-views.ts";
import { DONE, OperationProgress } from "../../actions/operation-progress.tsx";
import { dataOf } from "../../api/view-state.ts";
import { queryOfFilter } from "../../filter/filter.ts";
import { exactNumber } from "../../format/numbers.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Moment } from "../../parts/figures.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { conditionsOf, filterOfOperation } from "./operation-words.ts";

/** One change of many jobs: how far it came, with pause and stop. */
export function Operation({ id = "" }: { readonly id?: string }) {
  const page = usePage();
  const path = `operations/${id}`;
  const state = useAnswer<OperationAnswer>(path);
  return (
    <div class="view operation-view">
      <ViewHead
        help="operations"
        title={`Operation ${id}`}
        asOf={dataOf(state)?.asOf}
        parent={{ href: page.href("operations"), title: "Operations" }}
      />
      <Async state={state} path={path} rows={4}>
        {({ operation }) => (
          <>
            <p class="summary">
              {filterOfOperation(operation)} are {DONE[operation.action]}
              {operation.who !== null && <> by {operation.who}</>}, begun <Moment at={operation.createdAt} />.
            </p>
            <section class="card" aria-label="Progress">
              <OperationProgress operation={operation} />
            </section>
            <dl class="facts">
              {(["matched", "changed", "signalled"] as const).map((name) => (
                <div key={name}>
                  <dt>{TITLES[name]}</dt>
                  <dd>{exactNumber(operation[name])}</dd>
                </div>
              ))}
              <div>
                <dt>Expected</dt>
                <dd>{operation.expected === null ? "not known" : exactNumber(operation.expected)}</dd>
              </div>
              <div>
                <dt>Last batch</dt>
                <dd>
                  <Moment at={operation.updatedAt} />
                </dd>
              </div>
            </dl>
            {operation.filter && (
              <p>
                <a href={page.href("jobs", queryOfFilter(conditionsOf(operation.filter)))}>
                  Jobs that pass this filter now
                </a>
              </p>
            )}
          </>
        )}
      </Async>
    </div>
  );
}

const TITLES = { matched: "Passed the filter", changed: "Changed", signalled: "Told to stop" } as const;
