import { Copy } from "../../parts/copy.tsx";
import { type StackLine, stackLines } from "./stack.ts";

/** The last error in full; frames of the application stand out. */
export function ErrorText({ error }: { readonly error: string }) {
  return (
    <section class="error-text" aria-label="Last error">
      <header>
        <h2>Last error</h2>
        <Copy text={error} label="Copy the error" />
      </header>
      <pre tabIndex={0}>
        {stackLines(error).map(({ text, kind }: StackLine, index) => (
          <span key={index} class={kind}>
            {text}
            {"\n"}
          </span>
        ))}
      </pre>
    </section>
  );
}
