import { useRef } from "preact/hooks";
import { durationText, durationTitle } from "../format/durations.ts";
import {
  boundText,
  boundTitle,
  countText,
  countTitle,
  type Counted,
  exactNumber,
  shortNumber,
} from "../format/numbers.ts";
import { timeText, timeTitle } from "../format/times.ts";
import { usePage } from "../page.ts";

/** A count: short in sight, exact in its title, and an estimate says so. */
export function Count({ of }: { readonly of: Counted }) {
  return <Changing text={countText(of)} title={countTitle(of)} />;
}

/** A count that may have ended at its limit: then there are more. */
export function Bound({ of }: { readonly of: Counted }) {
  return <Changing text={boundText(of)} title={boundTitle(of)} />;
}

/** A number that is exact. */
export function Amount({ of }: { readonly of: number }) {
  return <Changing text={shortNumber(of)} title={exactNumber(of)} />;
}

/** A length of time in milliseconds; `-` for none. */
export function Length({ ms }: { readonly ms: number | null | undefined }) {
  if (ms === null || ms === undefined) return <span class="figure none">-</span>;
  return (
    <span class="figure" title={durationTitle(ms)}>
      {durationText(ms)}
    </span>
  );
}

/** A time, as the reader wants times; `-` for none. */
export function Moment({ at }: { readonly at: string | null | undefined }) {
  const page = usePage();
  if (at === null || at === undefined) return <span class="figure none">-</span>;
  const ms = Date.parse(at);
  return (
    <time class="figure" dateTime={at} title={timeTitle(ms)}>
      {timeText(ms, { now: page.now.value, zone: page.settings.zone.value })}
    </time>
  );
}

/** How long something has gone on; counts on by itself. */
export function Since({ at }: { readonly at: string }) {
  const page = usePage();
  return <Length ms={Math.max(0, page.now.value - Date.parse(at))} />;
}

/** A figure that is tinted for a moment when it changes. */
function Changing({ text, title }: { readonly text: string; readonly title: string }) {
  const first = useRef(text);
  const hasChanged = useRef(false);
  if (first.current !== text) hasChanged.current = true;
  return (
    <span key={text} class={hasChanged.current ? "figure changed" : "figure"} title={title}>
      {text}
    </span>
  );
}
