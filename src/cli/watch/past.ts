import type { Sample } from "../../client/samples.ts";
import { formatSeconds } from "../../client/views/amounts.ts";
import { formatAmount, rateOf, trendOf } from "./numbers.ts";

/** The past that is shown in place of what is now: the samples of the last day, and one of them. */
export interface Past {
  /** One for each minute, the oldest first. */
  readonly samples: readonly Sample[];
  /** The place of the one that is shown. */
  readonly cursor: number;
  /** The last sample of ten seconds in that minute, with its tasks and queues; `undefined` before it was read, and without one. */
  readonly moment: Sample | undefined;
}

/** The past that begins with the last of these samples; `undefined` without any. */
export function lastOf(samples: readonly Sample[]): Past | undefined {
  return samples.length === 0 ? undefined : { samples, cursor: samples.length - 1, moment: undefined };
}

/** This number of minutes later, not before the first; `undefined` behind the last, which is now. */
export function moved({ samples, cursor }: Past, minutes: number): Past | undefined {
  const next = Math.max(0, cursor + minutes);
  return next < samples.length ? { samples, cursor: next, moment: undefined } : undefined;
}

/** When the minute begins that is shown. */
export function minuteOf({ samples, cursor }: Past): Date {
  return samples[cursor]?.at ?? new Date(0);
}

/** The averages of the minute, and what led to it. */
export function describePast({ samples, cursor }: Past, { isPlain }: { readonly isPlain: boolean }): string[] {
  const sample = samples[cursor];
  const before = samples[cursor - 1];
  if (sample === undefined) return [];
  const amount = (value: number): string => formatAmount({ value, exact: true });
  const led = samples.slice(Math.max(0, cursor - TREND), cursor + 1);
  const trend = trendOf(
    led.map(({ ready }) => ready),
    isPlain,
  );
  const parts = [
    `ready ${amount(sample.ready)} ${trend}`.trimEnd(),
    sample.oldestDueMs === null ? undefined : `oldest ${formatSeconds(sample.oldestDueMs / 1_000)}`,
    `running ${amount(sample.running)}${sample.slots > 0 ? `/${Math.round(sample.slots)}` : ""}`,
    `scheduled ${amount(sample.scheduled)}`,
    `failed ${amount(sample.failed)}`,
    before && flowOf(before, sample),
    `workers ${Math.round(sample.workers)}`,
  ];
  return parts.filter((part) => part !== undefined);
}

function flowOf(before: Sample, sample: Sample): string {
  const seconds = (sample.at.getTime() - before.at.getTime()) / 1_000;
  // The statistics of a table begin anew when they are reset.
  const perSecond = (now: number, then: number): string => rateOf(Math.max(0, now - then) / seconds);
  const added = perSecond(sample.rowsInserted, before.rowsInserted);
  return `in ${added}/s  out ${perSecond(sample.rowsDeleted, before.rowsDeleted)}/s`;
}

/** How many minutes a trend is of. */
const TREND = 60;
