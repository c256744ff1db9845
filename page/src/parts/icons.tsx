import type { ComponentChildren, JSX } from "preact";

type State = "ready" | "scheduled" | "running" | "failed" | "paused";

/** The glyph of a state: a shape for each, so that no state is told by colour alone. */
const GLYPHS: Readonly<Record<State, JSX.Element>> = {
  scheduled: <circle cx="6" cy="6" r="4.2" class="drawn dashed" />,
  ready: (
    <>
      <circle cx="6" cy="6" r="4.2" class="drawn" />
      <path d="M6 6V2.2A3.8 3.8 0 0 1 9.8 6Z" class="filled" />
    </>
  ),
  running: <circle cx="6" cy="6" r="4.6" class="filled" />,
  failed: <path d="M2.6 2.6l6.8 6.8M9.4 2.6l-6.8 6.8" class="drawn thick" />,
  paused: <path d="M3.8 2.2v7.6M8.2 2.2v7.6" class="drawn thick" />,
};

/** What a state is called, with its glyph. */
export function StateMark({ state, word = state }: { readonly state: State; readonly word?: string }) {
  return (
    <span class={`state ${state}`}>
      <Glyph>{GLYPHS[state]}</Glyph>
      <span>{word}</span>
    </span>
  );
}

function Glyph({ children }: { readonly children: ComponentChildren }) {
  return (
    <svg class="glyph" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const ICONS = {
  overview: "M2.5 8.5 8 3.5l5.5 5M4 7.5v5.5h8V7.5M6.7 13v-3.2h2.6V13",
  jobs: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.6M2.5 8h.6M2.5 12h.6",
  history: "M3.2 5.2A5.6 5.6 0 1 1 2.4 8M3 2.5v3h3M8 5v3.2l2 1.4",
  queues: "M2.5 3h11v3h-11zM2.5 8.5h11v3h-11M4 14h8",
  tasks: "M2.5 3.5h4v4h-4zM9.5 3.5h4v4h-4zM2.5 10.5h4v3h-4zM9.5 10.5h4v3h-4z",
  workers: "M3 4h10v8H3zM5.5 1.8v2M8 1.8v2M10.5 1.8v2M5.5 12v2.2M8 12v2.2M10.5 12v2.2",
  schedules: "M8 2.2a5.8 5.8 0 1 0 .01 0M8 4.8V8l2.3 1.7",
  health: "M1.8 8.2h3l1.7-4.2 2.6 8 1.7-3.8h3.4",
  activity: "M3 13.5V9M6.4 13.5v-8M9.7 13.5V7.5M13 13.5v-11",
  operations: "M3 8.5 6 11.5 13 4.5M3 13.8h10",
  more: "M2.5 4h11M2.5 8h11M2.5 12h11",
  search: "M7 2.5a4.5 4.5 0 1 0 .01 0M10.3 10.3l3.4 3.4",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  theme: "M8 2.5a5.5 5.5 0 1 0 .01 0M8 2.5v11a5.5 5.5 0 0 0 0-11",
  keys: "M1.8 4h12.4v8H1.8zM4 6.5h.6M6.7 6.5h.6M9.4 6.5h.6M12 6.5h.3M4.5 9.5h7",
  back: "M9.5 3.5 5 8l4.5 4.5",
  warning: "M8 2.2 14.3 13.2H1.7ZM8 6.3v3.2M8 11.2v.4",
  check: "M3 8.5 6.5 12 13 4.5",
  lock: "M3.5 7h9v6.5h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof ICONS;

/** A drawing beside a word, or alone in a button that has a name. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} />
    </svg>
  );
}
