import { signal } from "@preact/signals";
import type { MarkerView, SamplesAnswer } from "../../../../src/admin/contract/overview-views.ts";
import { address } from "../../api/api.ts";
import { toProblem } from "../../api/problem.ts";
import { nextState, UNASKED, type ViewState } from "../../api/view-state.ts";
import type { Page } from "../../page.ts";
import { mergeSamples, type Range } from "./samples.ts";

/** The samples of a range. Only what is new is asked for when the overview has heard of another sample. */
export class SampleSeries {
  readonly state = signal<ViewState<SamplesAnswer>>(UNASKED);
  readonly range: Range;
  readonly #page: Page;
  #isAsking = false;

  constructor(page: Page, range: Range) {
    this.#page = page;
    this.range = range;
  }

  /** Asks for what is new; harmless while an answer is awaited. */
  async update(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const known = "data" in this.state.value ? this.state.value.data : undefined;
    const { resolution, limit } = this.range;
    const since = known?.samples.at(-1)?.at;
    try {
      const answer = await this.#page.api.get<SamplesAnswer>(address("samples", { resolution, limit, since }));
      const data = known ? joined(known, answer, limit) : answer;
      this.state.value = nextState(this.state.value, { type: "answered", data, at: this.#page.clock.now() });
    } catch (error) {
      const retryAt = this.#page.clock.now();
      this.state.value = nextState(this.state.value, { type: "failed", problem: toProblem(error), retryAt });
    } finally {
      this.#isAsking = false;
    }
  }
}

function joined(known: SamplesAnswer, answer: SamplesAnswer, limit: number): SamplesAnswer {
  const samples = [...mergeSamples(known.samples, answer.samples, limit)];
  const since = samples[0]?.at ?? "";
  // What is told of a moment later counts: more workers were started, or went, than was known.
  const isNews = (one: MarkerView): boolean =>
    answer.markers.every(({ at, kind }) => at !== one.at || kind !== one.kind);
  const markers = [...known.markers.filter(isNews), ...answer.markers];
  return { ...answer, samples, markers: markers.filter(({ at }) => at >= since).toSorted(byTime) };
}

function byTime(one: MarkerView, other: MarkerView): number {
  return one.at < other.at ? -1 : 1;
}
