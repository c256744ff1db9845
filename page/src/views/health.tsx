import { useLocation } from "preact-iso";
import type { DoctorAnswer, FindingView } from "../../../src/admin/contract/overview-views.ts";
import { dataOf } from "../api/view-state.ts";
import { capitalized, plural } from "../format/numbers.ts";
import { useAnswer } from "../page.ts";
import { Async } from "../parts/async.tsx";
import { Icon, type IconName } from "../parts/icons.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { Words } from "../parts/words.tsx";

type Status = FindingView["status"];

const ORDER: readonly Status[] = ["fail", "warn", "unseen", "note", "ok"];

const MARKS: Readonly<Record<Status, { readonly word: string; readonly icon: IconName }>> = {
  fail: { word: "broken", icon: "warning" },
  warn: { word: "getting worse", icon: "warning" },
  unseen: { word: "cannot be seen", icon: "search" },
  note: { word: "worth knowing", icon: "more" },
  ok: { word: "as it should be", icon: "check" },
};

/** What the doctor finds, the worst first: what it means, and what to do. */
export function Health() {
  const state = useAnswer<DoctorAnswer>("doctor");
  return (
    <div class="view health">
      <ViewHead title="Health" help="health" asOf={dataOf(state)?.asOf} />
      <Async state={state} path="doctor" rows={12}>
        {(answer) => <Findings answer={answer} />}
      </Async>
    </div>
  );
}

function Findings({ answer: { results } }: { readonly answer: DoctorAnswer }) {
  const opened = useLocation().query["check"];
  const bad = results.filter(({ status }) => status === "fail" || status === "warn").length;
  return (
    <>
      <p class="summary" role="status">
        {bad === 0
          ? "Nothing needs you."
          : `${plural(bad, "check")} of ${results.length} ${bad === 1 ? "needs" : "need"} you.`}
      </p>
      {ORDER.map((status) => {
        const found = results.filter((one) => one.status === status);
        if (found.length === 0) return null;
        return (
          <section key={status} class={`findings ${status}`} aria-label={MARKS[status].word}>
            <h2>
              {MARKS[status].word} <span class="quiet">{found.length}</span>
            </h2>
            <div class="frame">
              {found.map((finding) => (
                <Finding key={finding.id} finding={finding} isOpen={finding.id === opened || status === "fail"} />
              ))}
            </div>
          </section>
        );
      })}
    </>
  );
}

function Finding({
  finding: { id, title, status, finding, means, todo, guide },
  isOpen,
}: {
  finding: FindingView;
  isOpen: boolean;
}) {
  return (
    <details class={`finding ${status}`} open={isOpen}>
      <summary>
        <Icon name={MARKS[status].icon} />
        <b>{capitalized(title)}</b>
        <span>
          <Words text={finding} />
        </span>
        <span class="quiet mono">{id}</span>
      </summary>
      <dl>
        <dt>What it means</dt>
        <dd>
          <Words text={means} />
        </dd>
        <dt>What to do</dt>
        <dd>
          <Words text={todo} /> <Guide guide={guide} />
        </dd>
      </dl>
    </details>
  );
}

/** A page of the documentation: a link where it has an address. */
function Guide({ guide }: { readonly guide: string }) {
  if (!/^https?:/.test(guide)) return <span class="quiet mono">docs/{guide}</span>;
  return (
    <a href={guide} rel="noreferrer" target="_blank">
      Guide
    </a>
  );
}
