import { useEffect, useRef } from "preact/hooks";
import type { SampleView, SamplesAnswer } from "../../../../src/admin/contract/overview-views.ts";
import { plural } from "../../format/numbers.ts";
import { usePage } from "../../page.ts";
import { Amount, Length, Moment } from "../../parts/figures.tsx";
import { type Layer, LAYERS, type Range, RANGES, spanSeconds } from "./samples.ts";
import type { BacklogPlot } from "./backlog-plot.ts";

interface BacklogProps {
  readonly samples: SamplesAnswer;
  readonly range: Range;
  readonly onRange: (range: Range) => void;
  readonly hidden: ReadonlySet<Layer>;
  readonly onHide: (layer: Layer) => void;
  readonly cursor: string | undefined;
  readonly onPick: (at: string | undefined) => void;
}

/** The backlog over time, with a cursor that takes the lists of the overview to another moment. */
export function Backlog(props: BacklogProps) {
  const { samples, range, onRange, hidden, onHide } = props;
  return (
    <section class="backlog" aria-label="Backlog">
      <header>
        <h2>Backlog</h2>
        <div class="choice" role="group" aria-label="Range">
          {RANGES.map((one) => (
            <button key={one.name} type="button" aria-pressed={one === range} onClick={() => onRange(one)}>
              {one.name}
            </button>
          ))}
        </div>
        <div class="legend" role="group" aria-label="Layers">
          {LAYERS.map((layer) => (
            <button
              key={layer}
              type="button"
              class={layer}
              aria-pressed={!hidden.has(layer)}
              onClick={() => onHide(layer)}
            >
              <svg viewBox="0 0 8 8" width="8" height="8" aria-hidden="true">
                <rect width="8" height="8" rx="1.5" />
              </svg>
              {layer}
            </button>
          ))}
        </div>
      </header>
      {samples.samples.length < 2 ? <NoSamples /> : <Plot {...props} />}
      <Markers samples={samples} />
    </section>
  );
}

function NoSamples() {
  return (
    <p class="empty">
      Nothing was sampled in this time. Workers sample every ten seconds while they run, unless they have{" "}
      <code>samples: false</code>.
    </p>
  );
}

function Plot({ samples, range, hidden, cursor, onPick }: BacklogProps) {
  const page = usePage();
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<BacklogPlot>(undefined);
  const isUtc = page.settings.zone.value !== "local";
  const input = {
    samples: samples.samples,
    markers: samples.markers,
    hidden,
    cursor,
    isUtc,
    spanSeconds: spanSeconds(range),
  };
  const newest = useRef({ input, onPick });
  newest.current = { input, onPick };
  useEffect(() => {
    let isGone = false;
    void import("./backlog-plot.ts").then((module) => {
      if (isGone || !element.current) return;
      plot.current = new module.BacklogPlot(element.current, newest.current.input, (at) => newest.current.onPick(at));
    });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = (): void => plot.current?.redraw();
    dark.addEventListener("change", redraw);
    return () => {
      isGone = true;
      dark.removeEventListener("change", redraw);
      plot.current?.remove();
    };
  }, []);
  useEffect(() => plot.current?.update(input), [samples, range, hidden, cursor, isUtc]);
  useEffect(() => plot.current?.redraw(), [page.settings.theme.value]);
  const last = samples.samples.at(-1);
  return (
    <>
      <div ref={element} class="plot" role="img" aria-label={last ? inWords(last) : "Backlog"} />
      <p class="hint quiet">
        A click, or <kbd>[</kbd> and <kbd>]</kbd>, moves the lists below to another moment.
      </p>
    </>
  );
}

/** What the chart says, for those who do not see it. */
function inWords({ ready, scheduled, failed, at }: SampleView): string {
  return `Backlog over time; at ${at}: ${ready} ready, ${scheduled} scheduled, ${failed} failed. The tiles and lists say the same in numbers.`;
}

/** What happened meanwhile, by people and to workers; the chart has a line for each. */
function Markers({ samples: { markers } }: { readonly samples: SamplesAnswer }) {
  if (markers.length === 0) return null;
  return (
    <details class="markers">
      <summary>{markersInWords(markers)}</summary>
      <ul>
        {markers.toReversed().map(({ at, kind, text }) => (
          <li key={`${at} ${text}`} class={lookOf(kind)}>
            <Moment at={at} /> {text}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** `2 changes by people, 1 start of workers, 1 loss of workers` */
function markersInWords(markers: SamplesAnswer["markers"]): string {
  const counted = (look: string): number => markers.filter(({ kind }) => lookOf(kind) === look).length;
  const [changes, starts, losses] = [counted("person"), counted("start"), counted("loss")];
  return [
    ...(changes > 0 ? [`${plural(changes, "change")} by people`] : []),
    ...(starts > 0 ? [`${plural(starts, "start")} of workers`] : []),
    ...(losses > 0 ? [`${plural(losses, "loss", "losses")} of workers`] : []),
  ].join(", ");
}

function lookOf(kind: string): "person" | "start" | "loss" {
  if (kind === "workers.started") return "start";
  return /^workers\.(?:silent|fewer|none)$/.test(kind) ? "loss" : "person";
}

/** Says which moment the lists show, and leads back to now. */
export function CursorBar({ sample, onNow }: { readonly sample: SampleView; readonly onNow: () => void }) {
  return (
    <p class="cursor-bar" role="status">
      <span>
        At <Moment at={sample.at} />: <Amount of={sample.ready} /> ready, <Amount of={sample.scheduled} /> scheduled,{" "}
        <Amount of={sample.failed} /> failed, {Math.round(sample.busy)} of {Math.round(sample.slots)} slots busy, oldest
        due <Length ms={sample.oldestDueMs} />.
      </span>
      <button type="button" class="small" onClick={onNow}>
        Now
      </button>
    </p>
  );
}
