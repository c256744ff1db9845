import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import type { OverviewAnswer } from "../../../src/admin/contract/overview-views.ts";
import { dataOf } from "../api/view-state.ts";
import { useAnswer, usePage } from "../page.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Count } from "../parts/figures.tsx";
import { Icon } from "../parts/icons.tsx";
import { type Place, placeOfPath, PLACES } from "./places.ts";

/** The places on the left, with what is in them. */
export function Rail() {
  const page = usePage();
  const overview = dataOf(useAnswer<OverviewAnswer>("overview"));
  return (
    <nav class="rail" aria-label="Places">
      <a class="brand" href={page.href("")} aria-label="Howdah, to the overview">
        <Brand />
        Howdah
      </a>
      <ul>
        {PLACES.map((place) => (
          <li key={place.path}>
            <PlaceLink place={place}>{overview && <Inside place={place} overview={overview} />}</PlaceLink>
            {place.path === "jobs" && overview && <States overview={overview} />}
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** The same on a phone: four tabs at the bottom, and a sheet with the rest. */
export function Tabs() {
  const page = usePage();
  const [isOpen, setOpen] = useState(false);
  const { path } = useLocation();
  const current = placeOfPath(path, page.base);
  return (
    <nav class="tabs" aria-label="Tabs">
      {PLACES.filter(({ isTab }) => isTab).map((place) => (
        <PlaceLink key={place.path} place={place} title={place.path === "" ? "Home" : place.title} />
      ))}
      <button
        type="button"
        aria-haspopup="dialog"
        class={current && !current.isTab ? "current" : undefined}
        onClick={() => setOpen(true)}
      >
        <Icon name="more" />
        <span>More</span>
      </button>
      {isOpen && (
        <Dialog title="Places" onClose={() => setOpen(false)}>
          <ul class="places">
            {PLACES.filter(({ isTab }) => !isTab).map((place) => (
              <li key={place.path}>
                <PlaceLink place={place} onGo={() => setOpen(false)} />
              </li>
            ))}
          </ul>
        </Dialog>
      )}
    </nav>
  );
}

function PlaceLink({
  place,
  title = place.title,
  onGo,
  children,
}: {
  place: Place;
  title?: string;
  onGo?: () => void;
  children?: ComponentChildren;
}) {
  const page = usePage();
  const { path } = useLocation();
  const isCurrent = placeOfPath(path, page.base) === place;
  return (
    <a href={page.href(place.path)} aria-current={isCurrent ? "page" : undefined} onClick={onGo}>
      <Icon name={place.icon} />
      <span>{title}</span>
      {children}
    </a>
  );
}

/** The number beside a place. */
function Inside({ place, overview }: { place: Place; overview: OverviewAnswer }) {
  if (place.path === "workers") return <b class="in">{overview.workers.count}</b>;
  if (place.path !== "health" || overview.needs.length === 0) return null;
  return (
    <b class={`in needs ${overview.status}`}>
      <span class="aloud">needs you: </span>
      {overview.needs.length}
    </b>
  );
}

function States({ overview }: { overview: OverviewAnswer }) {
  const page = usePage();
  return (
    <ul class="states">
      {(["ready", "running", "failed"] as const).map((state) => (
        <li key={state}>
          <a href={page.href("jobs", { state })}>
            <span>{state}</span>
            <Count of={overview.counts[state]} />
          </a>
        </li>
      ))}
    </ul>
  );
}

function Brand() {
  return (
    <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true" focusable="false" class="mark">
      <rect width="16" height="16" rx="3.5" />
      <path d="M3.5 6.5 8 3l4.5 3.5M4.5 6.5v3h7v-3M3 12.5c1.5-1.6 3-2 5-2s3.5.4 5 2" />
    </svg>
  );
}
