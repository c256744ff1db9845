import type { OverviewAnswer } from "../../../../src/admin/contract/overview-views.ts";
import { durationText } from "../../format/durations.ts";
import { countTitle, exactNumber } from "../../format/numbers.ts";

/** The overview as Markdown, for the channel of an incident. */
export function incidentNote(
  overview: OverviewAnswer,
  { title, url }: { readonly title: string; readonly url: string },
): string {
  const { counts, workers, oldestDueMs, rates } = overview;
  const oldest = oldestDueMs === null ? "none due" : `oldest due ${durationText(oldestDueMs)}`;
  return [
    `**${title}**, ${overview.asOf}: ${overview.sentence}`,
    "",
    ...overview.needs.map(({ id, status, finding, todo }) => `- ${status} ${id}: ${finding} ${todo}`),
    ...(overview.needs.length > 0 ? [""] : []),
    `- waiting ${countTitle(counts.ready)} (${oldest}), scheduled ${countTitle(counts.scheduled)}, failed ${countTitle(counts.failed)}`,
    `- workers ${workers.count} (${workers.stale} silent), slots ${workers.busy} of ${workers.slots} busy`,
    ...(rates ? [`- ${rate(rates.addedPerSecond)} added, ${rate(rates.finishedPerSecond)} finished`] : []),
    ...groups("tasks", overview.tasks),
    ...groups("queues", overview.queues),
    "",
    url,
  ].join("\n");
}

function rate(perSecond: number): string {
  return `${exactNumber(Math.round(perSecond * 10) / 10)}/s`;
}

function groups(what: string, all: OverviewAnswer["tasks"]): string[] {
  if (all.length === 0) return [];
  const worst = all
    .slice(0, 3)
    .map(({ name, jobCount, oldestMs }) => `${name} (${exactNumber(jobCount)} due, ${durationText(oldestMs)})`);
  return [`- worst ${what}: ${worst.join(", ")}`];
}
