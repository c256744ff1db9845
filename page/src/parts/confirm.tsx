import type { ComponentChildren } from "preact";
import { Dialog } from "./dialog.tsx";

interface ConfirmProps {
  readonly title: string;
  /** What the button says that does it. */
  readonly verb: string;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
  /** What that means. */
  readonly children: ComponentChildren;
}

/** Asks before something is done that cannot be undone. */
export function Confirm({ title, verb, onConfirm, onClose, children }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="warned">{children}</div>
      <footer>
        <button type="button" onClick={onClose}>
          Leave it
        </button>
        <button
          type="button"
          class="main danger"
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {verb}
        </button>
      </footer>
    </Dialog>
  );
}
