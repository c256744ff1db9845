import { useEffect } from "preact/hooks";
import { usePage } from "../page.ts";

/** For how long a word stays in sight. */
const SHOWN_MS = 6_000;

/** What the page says of what was done. */
export function Said() {
  const page = usePage();
  const { value: text } = page.said;
  useEffect(() => {
    if (text === "") return undefined;
    return page.clock.after(SHOWN_MS, () => void (page.said.value = ""));
  }, [page, text]);
  return (
    <div class={text === "" ? "said" : "said shown"} role="status" aria-live="polite">
      {text}
    </div>
  );
}
