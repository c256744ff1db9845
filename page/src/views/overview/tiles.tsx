import type { ComponentChildren } from "preact";
import type { OverviewAnswer, SampleView } from "../../../../src/admin/contract/overview-views.ts";
import { durationText, durationTitle, quantileText } from "../../format/durations.ts";
import { exactNumber, percent, shortNumber } from "../../format/numbers.ts";
import { usePage } from "../../page.ts";
import { Count } from "../../parts/figures.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";

/** As many points as a small line can show. */
const POINTS = 48;

interface TilesProps {
  readonly overview: OverviewAnswer;
  readonly samples: readonly SampleView[];
}

/** Four figures: what waits, what runs, what failed, and how fast it goes. */
export function Tiles({ overview, samples }: TilesProps) {
  const { counts, workers, lastHour, rates, times, oldestDueMs } = overview;
  const attempts = lastHour.completed + lastHour.attemptsFailed;
  const recent = samples.slice(-POINTS);
  return (
    <dl class="tiles">
      <Tile
        title="Waiting"
        query={{ state: "ready" }}
        line={<Sparkline state="ready" values={recent.map(({ ready }) => ready)} />}
        note={
          <>
            oldest <Ms ms={oldestDueMs} />, <Count of={counts.scheduled} /> scheduled
          </>
        }
      >
        <Count of={counts.ready} />
      </Tile>
      <Tile
        title="Running"
        query={{ state: "running" }}
        line={<Sparkline state="running" values={recent.map(({ busy }) => busy)} />}
        note={
          <>
            longest <Ms ms={workers.longestRunMs} />, {workers.count} {workers.count === 1 ? "worker" : "workers"}
            {workers.stale > 0 && (
              <>
                , <b class="bad">{workers.stale} silent</b>
              </>
            )}
          </>
        }
      >
        <Count of={counts.running} />
        <small>
          {" "}
          {counts.running.value <= workers.slots ? "of " : "in "}
          {exactNumber(workers.slots)} slots
        </small>
      </Tile>
      <Tile
        title="Attempts failed, last hour"
        query={{ state: "failed" }}
        line={<Sparkline state="failed" values={recent.map(({ failed }) => failed)} />}
        note={
          <>
            {attempts === 0 ? "no attempt yet" : `${percent(lastHour.attemptsFailed, attempts)} of attempts`},{" "}
            <Count of={counts.failed} /> for good
          </>
        }
      >
        <span class="figure" title={exactNumber(lastHour.attemptsFailed)}>
          {shortNumber(lastHour.attemptsFailed)}
        </span>
      </Tile>
      <Tile
        title="Finished per second"
        line={<Sparkline values={recent.map(({ finishedPerSecond }) => finishedPerSecond ?? 0)} />}
        note={
          rates ? (
            <>
              {shortNumber(rates.addedPerSecond)} added per second; <Times times={times} />
            </>
          ) : (
            <Times times={times} />
          )
        }
      >
        <span class="figure" title={rates ? exactNumber(rates.finishedPerSecond) : undefined}>
          {rates ? shortNumber(rates.finishedPerSecond) : "-"}
        </span>
      </Tile>
    </dl>
  );
}

interface TileProps {
  readonly title: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly line: ComponentChildren;
  readonly note: ComponentChildren;
  readonly children: ComponentChildren;
}

function Tile({ title, query, line, note, children }: TileProps) {
  const page = usePage();
  return (
    <div class="tile">
      <dt>{query ? <a href={page.href("jobs", query)}>{title}</a> : title}</dt>
      <dd class="big">{children}</dd>
      <dd class="line">{line}</dd>
      <dd class="note">{note}</dd>
    </div>
  );
}

/** How long attempts waited and ran in the last minutes, but for the slowest of twenty. */
function Times({ times: { meanMs, p95Ms, waitP95Ms } }: Pick<OverviewAnswer, "times">) {
  if (meanMs === null) return <>no attempt in ten minutes</>;
  return (
    <span title="95 of 100 attempts of the last ten minutes waited, and ran, for less">
      95% waited {quantileText(waitP95Ms, "3 d")}, ran {quantileText(p95Ms, "16 s")}
    </span>
  );
}

function Ms({ ms }: { readonly ms: number | null }) {
  return ms === null ? <>-</> : <span title={durationTitle(ms)}>{durationText(ms)}</span>;
}
