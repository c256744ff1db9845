import type { JobRow } from "../../../../src/admin/contract/job-views.ts";
import { durationText, durationTitle } from "../../format/durations.ts";
import { usePage } from "../../page.ts";
import { Moment as Time } from "../../parts/figures.tsx";
import { positions, timelineOf } from "./timeline.ts";

const WIDTH = 1_000;

/** The life of a job: a line to scale, and its moments in words with what lies between them. */
export function TimelineStrip({ job }: { readonly job: JobRow }) {
  const moments = timelineOf(job, usePage().now.value);
  const places = positions(moments);
  return (
    <section class="timeline" aria-label="Timeline">
      <svg viewBox={`0 0 ${WIDTH} 12`} preserveAspectRatio="none" aria-hidden="true" class="strip">
        <path d={`M0 6H${WIDTH}`} class="base" />
        {moments.map(({ look, what }, index) => (
          <path key={what} class={look} d={`M${(places[index] ?? 0) * (WIDTH - 4) + 2} 1V11`} />
        ))}
      </svg>
      <ol>
        {moments.map(({ at, what, look }, index) => {
          const before = moments[index - 1];
          return (
            <li key={what} class={look}>
              {before && (
                <span class="gap" title={durationTitle(at - before.at)}>
                  {durationText(at - before.at)}
                </span>
              )}
              <b>{what}</b> {look !== "now" && <Time at={new Date(at).toISOString()} />}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
