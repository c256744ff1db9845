import { useEffect } from "preact/hooks";
import { usePage } from "../page.ts";

/** For how long a word stays in sight, and one that can be taken back. */
const SHOWN_MS = 6_000;
const UNDO_MS = 15_000;

/** What the page says of what was done. */
export function Said() {
  const page = usePage();
  const { value: text } = page.said;
  const { value: undo } = page.undo;
  useEffect(() => {
    if (text === "") return undefined;
    return page.clock.after(undo ? UNDO_MS : SHOWN_MS, () => page.say(""));
  }, [page, text, undo]);
  return (
    <div class={text === "" ? "said" : "said shown"}>
      <span role="status" aria-live="polite">
        {text}
      </span>
      {undo && (
        <button
          type="button"
          class="link"
          onClick={() => {
            page.say("");
            undo();
          }}
        >
          Undo
        </button>
      )}
    </div>
  );
}
