import type { LiveState } from "../api/live.ts";
import { usePage } from "../page.ts";

/** How news reaches the page; read aloud when that changes. */
export function Freshness() {
  const { value: state } = usePage().live.state;
  return (
    <span class={`freshness ${state.kind}`} role="status">
      {WORDS[state.kind](state as never)}
    </span>
  );
}

const WORDS: { readonly [K in LiveState["kind"]]: (state: Extract<LiveState, { kind: K }>) => string } = {
  connecting: () => "Connecting",
  live: () => "Live",
  polling: () => "Every 5 s",
  paused: () => "Paused",
  down: () => "Not connected",
};
