import { useLocation } from "preact-iso";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { OverviewAnswer, SamplesAnswer } from "../../../../src/admin/contract/overview-views.ts";
import { dataOf } from "../../api/view-state.ts";
import { useCommand } from "../../keyboard/use-command.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { copyText } from "../../parts/copy.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { Backlog, CursorBar } from "./backlog.tsx";
import { DueTable } from "./due-table.tsx";
import { FirstJob } from "./first-job.tsx";
import { incidentNote } from "./incident-note.ts";
import { SampleSeries } from "./sample-series.ts";
import { changesOf, type Layer, moveCursor, RANGES, sampleAt } from "./samples.ts";
import { Sentence } from "./sentence.tsx";
import { Tiles } from "./tiles.tsx";

/** Everything at a glance. */
export function Overview() {
  const state = useAnswer<OverviewAnswer>("overview");
  return (
    <div class="view overview">
      <ViewHead title="Overview" help="overview" asOf={dataOf(state)?.asOf}>
        <Share overview={dataOf(state)} />
      </ViewHead>
      <Async state={state} path="overview" rows={14}>
        {(overview) => <Glance overview={overview} />}
      </Async>
    </div>
  );
}

function Glance({ overview }: { readonly overview: OverviewAnswer }) {
  const page = usePage();
  // What workers counted is of all tasks and queues.
  const isWhole = page.session.value?.tasks == null && page.session.value?.queues == null;
  const { series, range, setRange } = useSeries(overview.sampleAt, isWhole);
  const [hidden, setHidden] = useState<ReadonlySet<Layer>>(new Set());
  const { state } = series;
  const answer = dataOf(state.value) ?? NO_SAMPLES;
  const { cursor, setCursor } = useTimeCursor(answer);
  const then = cursor === undefined ? undefined : sampleAt(answer.samples, cursor);
  const shown = then ?? overview;
  if (isEmpty(overview)) return <FirstJob />;
  return (
    <>
      <Sentence overview={overview} />
      <Tiles overview={overview} samples={answer.samples} />
      {isWhole && (
        <Async
          state={state.value}
          path="samples"
          rows={6}
          failed={({ message }) => (
            <p class="notice bad" role="alert">
              No history: {message}
            </p>
          )}
        >
          {(samples) => (
            <Backlog
              samples={samples}
              range={range}
              onRange={setRange}
              hidden={hidden}
              onHide={(layer) => setHidden(toggled(hidden, layer))}
              cursor={cursor}
              onPick={setCursor}
            />
          )}
        </Async>
      )}
      {then && <CursorBar sample={then} onNow={() => setCursor(undefined)} />}
      <div class="columns">
        <DueTable
          isSampled={overview.sampleAt !== null}
          of="tasks"
          rows={shown.tasks.slice(0, 10)}
          since={then && changesOf(overview.tasks, then.tasks)}
        />
        <DueTable
          isSampled={overview.sampleAt !== null}
          of="queues"
          rows={shown.queues.slice(0, 10)}
          since={then && changesOf(overview.queues, then.queues)}
        />
      </div>
    </>
  );
}

const NO_SAMPLES: SamplesAnswer = { asOf: "", resolution: "10s", samples: [], markers: [] };

/** The samples of the chosen range; `newest` is when workers sampled last. None for those who may not see them. */
function useSeries(newest: string | null, isWanted: boolean) {
  const page = usePage();
  const [range, setRange] = useState(RANGES[0]);
  const series = useMemo(() => new SampleSeries(page, range), [page, range]);
  useEffect(() => {
    if (isWanted) void series.update();
  }, [series, newest, isWanted]);
  return { series, range, setRange };
}

/** The moment that is shown, kept in the address: `?at=…`. */
function useTimeCursor({ samples }: SamplesAnswer) {
  const page = usePage();
  const { query, route } = useLocation();
  const cursor = query["at"];
  const setCursor = (at: string | undefined): void => route(page.href("", { at }), true);
  useCommand("cursor-back", () => setCursor(moveCursor(samples, cursor, -1)));
  useCommand("cursor-forward", () => setCursor(moveCursor(samples, cursor, 1)));
  useCommand("back", cursor === undefined ? undefined : () => setCursor(undefined));
  return { cursor, setCursor };
}

function Share({ overview }: { readonly overview: OverviewAnswer | undefined }) {
  const page = usePage();
  if (!overview) return null;
  const share = async (): Promise<void> => {
    const { environment, schema } = page.session.value ?? {};
    const title = [environment?.name, schema].filter(Boolean).join(" / ");
    page.say(await copyText(incidentNote(overview, { title, url: location.href })));
  };
  return (
    <button type="button" onClick={() => void share()}>
      Copy as text
    </button>
  );
}

function isEmpty({ counts, lastHour, workers }: OverviewAnswer): boolean {
  const jobs = Object.values(counts).reduce((sum, { value }) => sum + value, 0);
  return jobs + lastHour.completed + lastHour.attemptsFailed === 0 && workers.count === 0;
}

function toggled<T>(all: ReadonlySet<T>, one: T): ReadonlySet<T> {
  const next = new Set(all);
  if (!next.delete(one)) next.add(one);
  return next;
}
