import type { WorkerView } from "../../../../src/admin/contract/worker-views.ts";
import { durationText } from "../../format/durations.ts";
import { usePage } from "../../page.ts";
import { Length, Since } from "../../parts/figures.tsx";
import { Icon } from "../../parts/icons.tsx";
import { lifeOf, type WorkerLife } from "./worker-life.ts";

const WORDS: Readonly<Record<WorkerLife, string>> = {
  alive: "alive",
  silent: "silent",
  dead: "dead",
  stopping: "stopping",
  retired: "goes on under another id",
};

/** Whether a worker lives, and when it was heard of last. */
export function LifeMark({ worker }: { readonly worker: WorkerView }) {
  const life = lifeOf(worker, usePage().now.value);
  return (
    <span class={`life ${life}`}>
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
        {life === "dead" ? (
          <path d="M5 1v8M2.5 3.5h5" class="drawn" />
        ) : (
          <circle cx="5" cy="5" r="3.6" class={life === "alive" ? "filled" : "drawn"} />
        )}
      </svg>
      <span>
        {WORDS[life]}
        {life !== "alive" && (
          <span class="quiet">
            , heard of <Since at={worker.lastHeartbeatAt} /> ago
          </span>
        )}
      </span>
    </span>
  );
}

/** How the claims of a worker do. */
export function ClaimMark({ worker: { report } }: { readonly worker: WorkerView }) {
  const page = usePage();
  if (!report) return <span class="none">unknown</span>;
  const { claims } = report;
  if (claims.failingSince !== null) {
    return (
      <span class="bad" title={claims.lastError ?? undefined}>
        <Icon name="warning" /> claims fail for {durationText(page.now.value - Date.parse(claims.failingSince))}
        {claims.lastError !== null && `: ${claims.lastError}`}
      </span>
    );
  }
  return (
    <span class="quiet">
      full scan <Length ms={claims.fullScanAgeMs} /> ago, next in <Length ms={claims.nextFullScanMs} />
      {report.unwritten > 0 && `, ${report.unwritten} outcomes not written yet`}
    </span>
  );
}
