import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { MarkerView, SampleView } from "../../../../src/admin/contract/overview-views.ts";
import { shortNumber } from "../../format/numbers.ts";
import { type Layer, LAYERS, stacked } from "./samples.ts";

/** What the plot shows. */
export interface PlotInput {
  readonly samples: readonly SampleView[];
  readonly hidden: ReadonlySet<Layer>;
  readonly markers: readonly Pick<MarkerView, "at" | "kind">[];
  /** The moment that the lists show; undefined for now. */
  readonly cursor: string | undefined;
  readonly isUtc: boolean;
  /** How far back the chart goes, also where there are no samples yet. */
  readonly spanSeconds: number;
}

/** Layers of jobs over time, drawn by uPlot. Colours are those of the theme, read when it is drawn. */
export class BacklogPlot {
  readonly #element: HTMLElement;
  readonly #plot: uPlot;
  readonly #observer: ResizeObserver;
  #input: PlotInput;

  constructor(element: HTMLElement, input: PlotInput, onPick: (at: string | undefined) => void) {
    this.#element = element;
    this.#input = input;
    this.#plot = new uPlot(this.#options(onPick), columns(input), element);
    this.#observer = new ResizeObserver(() => this.#plot.setSize(sizeOf(element)));
    this.#observer.observe(element);
  }

  /** Shows something else. */
  update(input: PlotInput): void {
    this.#input = input;
    this.#plot.setData(columns(input));
  }

  /** Draws it again, in the colours of another theme. */
  redraw(): void {
    this.#plot.redraw(false, true);
  }

  /** Takes it away. */
  remove(): void {
    this.#observer.disconnect();
    this.#plot.destroy();
  }

  #options(onPick: (at: string | undefined) => void): uPlot.Options {
    const axis = {
      stroke: () => this.#colour("--quiet"),
      font: "11px system-ui",
      grid: { stroke: () => this.#colour("--line"), width: 1 },
      ticks: { show: false },
    };
    return {
      ...sizeOf(this.#element),
      padding: [8, 0, 0, 0],
      tzDate: (seconds) =>
        this.#input.isUtc ? uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC") : new Date(seconds * 1_000),
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
      scales: {
        x: { range: (_, __, last) => [last - this.#input.spanSeconds, last] },
        y: { range: (_, __, most) => [0, most === 0 ? 10 : most * 1.08] },
      },
      axes: [
        { ...axis, size: 24, space: 72, values: TIMES },
        { ...axis, size: 44, values: (_, values) => values.map((value) => shortNumber(value)) },
      ],
      series: [
        {},
        ...LAYERS.map((layer) => ({
          stroke: () => this.#colour(`--${layer}`),
          fill: () => this.#colour(`--fill-${layer}`),
          width: 1,
          points: { show: false },
        })),
      ],
      // A higher layer is filled down to the one below it, so that colours do not mix.
      bands: LAYERS.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })),
      hooks: {
        draw: [() => this.#drawMoments()],
        ready: [
          (plot) => {
            plot.over.addEventListener("click", () => {
              const at = this.#input.samples[plot.cursor.idx ?? -1]?.at;
              onPick(at === this.#input.samples.at(-1)?.at ? undefined : at);
            });
          },
        ],
      },
    };
  }

  #drawMoments(): void {
    const { markers, cursor } = this.#input;
    for (const { at, kind } of markers) this.#drawLine(at, this.#colour(colourOf(kind)), [2, 3]);
    if (cursor !== undefined) this.#drawLine(cursor, this.#colour("--accent"), []);
  }

  #drawLine(at: string, colour: string, dash: number[]): void {
    const { ctx, bbox } = this.#plot;
    const x = Math.round(this.#plot.valToPos(Date.parse(at) / 1_000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio * (dash.length > 0 ? 1 : 1.5);
    ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  #colour(name: string): string {
    // Resolved by the browser: the canvas knows no light-dark().
    const probe = this.#element.ownerDocument.createElement("i");
    probe.className = "probe";
    probe.dataset["colour"] = name;
    this.#element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }
}

/** Of what people changed, of workers that were started, and of workers that went. */
function colourOf(kind: string): string {
  if (!kind.startsWith("workers.")) return "--quiet";
  return kind === "workers.started" ? "--running" : "--failed";
}

/** Hours and minutes, or days where a mark begins one. */
const TIMES = [
  [86_400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
] as unknown as uPlot.Axis.DynamicValues;

function columns({ samples, hidden }: PlotInput): uPlot.AlignedData {
  return stacked(samples, hidden);
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(200, element.clientWidth), height: Math.max(80, element.clientHeight) };
}
