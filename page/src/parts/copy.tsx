import { usePage } from "../page.ts";
import { Icon } from "./icons.tsx";

/** A button that copies a text. */
export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  const page = usePage();
  const copy = async (): Promise<void> => page.say(await copyText(text));
  return (
    <button type="button" class="bare copy" aria-label={label} title={label} onClick={() => void copy()}>
      <Icon name="copy" />
    </button>
  );
}

/** Copies a text, and says what became of it. Browsers forbid the usual way where the page is not served by https. */
export async function copyText(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    return copyBySelection(text) ? "Copied." : "The browser does not let the page copy.";
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "off-screen";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  // Deprecated, and the only way without https.
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}
