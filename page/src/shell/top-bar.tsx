import type { Zone } from "../format/times.ts";
import { useCommand } from "../keyboard/use-command.ts";
import { usePage } from "../page.ts";
import { Icon } from "../parts/icons.tsx";
import { nextChoice } from "../settings.ts";
import { Freshness } from "./freshness.tsx";
import { Search } from "./search.tsx";

/** Where this page is, what to look for, and how to show it. */
export function TopBar() {
  const page = usePage();
  const session = page.session.value;
  const { theme, zone } = page.settings;
  return (
    <header class="top">
      <div class="environment">
        {session?.environment && (
          <b>
            {session.environment.colour !== null && (
              <svg viewBox="0 0 8 8" width="8" height="8" aria-hidden="true">
                <circle cx="4" cy="4" r="4" fill={session.environment.colour} />
              </svg>
            )}
            {session.environment.name}
          </b>
        )}
        <span class="quiet schema">{session?.schema}</span>
        {session?.readOnly || session?.role === "read" ? <span class="badge">read-only</span> : null}
      </div>
      <Search />
      <div class="choices">
        <LiveSwitch />
        <Freshness />
        <label class="zone">
          <span class="aloud">Times</span>
          <select value={zone.value} onChange={(event) => void (zone.value = event.currentTarget.value as Zone)}>
            <option value="utc">UTC</option>
            <option value="local">Local</option>
            <option value="relative">Relative</option>
          </select>
        </label>
        <button
          type="button"
          class="bare"
          aria-label={`Theme: ${theme.value}`}
          title={`Theme: ${theme.value}`}
          onClick={() => void (theme.value = nextChoice("theme", theme.value))}
        >
          <Icon name="theme" />
        </button>
        <button
          type="button"
          class="bare keys"
          aria-label="Keys"
          title="Keys (?)"
          onClick={() => void (page.isSheetOpen.value = true)}
        >
          <Icon name="keys" />
        </button>
      </div>
    </header>
  );
}

function LiveSwitch() {
  const page = usePage();
  const { value: state } = page.live.state;
  const isPaused = state.kind === "paused" && state.by === "person";
  const turn = (): void => {
    if (isPaused) page.live.resume("person");
    else page.live.pause("person");
  };
  useCommand("pause-live", turn);
  return (
    <button
      type="button"
      class={`bare live ${state.kind}`}
      aria-pressed={!isPaused}
      aria-label="Live changes"
      title={isPaused ? "Paused (.)" : "Pause live changes (.)"}
      onClick={turn}
    >
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
        {isPaused ? <path d="M2.5 1v8M7.5 1v8" class="drawn thick" /> : <circle cx="5" cy="5" r="4" class="filled" />}
      </svg>
    </button>
  );
}
