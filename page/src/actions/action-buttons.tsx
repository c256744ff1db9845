import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog.tsx";
import type { JobAction } from "./actions.ts";

interface ActionButtonsProps {
  readonly actions: readonly JobAction[];
  readonly onAction: (action: JobAction) => void;
}

/** A button for each thing that can be done; on a phone one button, and a sheet with the others. */
export function ActionButtons({ actions, onAction }: ActionButtonsProps) {
  const [isOpen, setOpen] = useState(false);
  if (actions.length === 0) return null;
  return (
    <>
      <span class="wide-actions">
        <Buttons actions={actions} onAction={onAction} />
      </span>
      <button type="button" class="narrow-actions" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        Actions…
      </button>
      {isOpen && (
        <Dialog title="Actions" onClose={() => setOpen(false)}>
          <div class="sheet">
            <Buttons
              actions={actions}
              onAction={(action) => {
                setOpen(false);
                onAction(action);
              }}
            />
          </div>
        </Dialog>
      )}
    </>
  );
}

function Buttons({ actions, onAction }: ActionButtonsProps) {
  return (
    <>
      {actions.map((one) => (
        <button
          key={one.action}
          type="button"
          class={one.isDangerous ? "bad" : undefined}
          onClick={() => onAction(one)}
        >
          {one.title}
        </button>
      ))}
    </>
  );
}
