import type {
  BulkAction,
  OperationView,
  PreviewAnswer,
  PreviewRequest,
} from "../../../src/admin/contract/bulk-views.ts";
import type { Problem } from "../api/problem.ts";

/** A change of jobs that a person wants to look at before it is done. */
export interface Order {
  readonly action: BulkAction;
  /** Exactly one of these two. */
  readonly ids?: readonly string[];
  readonly filter?: PreviewRequest["filter"];
  /** The jobs in words, for the title: `failed jobs of task send_email`. */
  readonly words: string;
}

/** What a person adds to an order: a reason, or when and how often to run. */
export type Changes = Pick<PreviewRequest, "reason" | "to" | "again">;

/** How far a change has come, from the question what it would do to its end. */
export type WhatIf =
  /** What it should be in detail is asked first. */
  | { readonly kind: "choosing"; readonly problem: Problem | undefined }
  | { readonly kind: "previewing" }
  | {
      readonly kind: "shown";
      readonly preview: PreviewAnswer;
      readonly typed: string;
      readonly problem: Problem | undefined;
    }
  | { readonly kind: "starting"; readonly preview: PreviewAnswer; readonly typed: string }
  | { readonly kind: "begun"; readonly operation: OperationView }
  | { readonly kind: "refused"; readonly problem: Problem };

/** What happens to it. */
export type WhatIfEvent =
  | { readonly type: "chosen" }
  /** The details are asked for after all. */
  | { readonly type: "reconsidered" }
  | { readonly type: "previewed"; readonly preview: PreviewAnswer }
  | { readonly type: "typed"; readonly text: string }
  | { readonly type: "confirmed" }
  | { readonly type: "begun"; readonly operation: OperationView }
  | { readonly type: "failed"; readonly problem: Problem };

/** Where a change begins: those with details ask for them. */
export function firstState(action: BulkAction): WhatIf {
  return asksFirst(action) ? { kind: "choosing", problem: undefined } : { kind: "previewing" };
}

/** Whether an action has details to choose. */
export function asksFirst(action: BulkAction): boolean {
  return action === "reschedule" || action === "cancel" || action === "fail";
}

/** The next state. Events that do not belong to a state leave it as it is: an answer may come late. */
export function nextWhatIf(state: WhatIf, event: WhatIfEvent): WhatIf {
  switch (event.type) {
    case "chosen":
      return { kind: "previewing" };
    case "reconsidered":
      return state.kind === "shown" ? { kind: "choosing", problem: undefined } : state;
    case "previewed":
      return state.kind === "previewing"
        ? { kind: "shown", preview: event.preview, typed: "", problem: undefined }
        : state;
    case "typed":
      return state.kind === "shown" ? { ...state, typed: event.text } : state;
    case "confirmed":
      return mayBegin(state) ? { kind: "starting", preview: state.preview, typed: state.typed } : state;
    case "begun":
      return state.kind === "starting" ? { kind: "begun", operation: event.operation } : state;
    case "failed":
      return failedWith(state, event.problem);
  }
}

/** Whether the button may be pressed: something would change, and a large number was typed. */
export function mayBegin(state: WhatIf): state is Extract<WhatIf, { kind: "shown" }> {
  if (state.kind !== "shown" || state.preview.matched.value === 0) return false;
  const { confirm } = state.preview;
  return confirm === null || digits(state.typed) === digits(confirm);
}

/** `6,668` is the same number as `6668`. */
export function digits(text: string): string {
  return text.replaceAll(/[\s,._']/g, "");
}

/** What the person who begins it has to send. */
export function confirmOf({ confirm }: PreviewAnswer): { readonly confirm?: string } {
  return confirm === null ? {} : { confirm };
}

function failedWith(state: WhatIf, problem: Problem): WhatIf {
  switch (state.kind) {
    case "previewing":
      return problem.kind === "refused" ? { kind: "choosing", problem } : { kind: "refused", problem };
    case "starting":
      return { kind: "shown", preview: state.preview, typed: state.typed, problem };
    case "choosing":
    case "shown":
    case "begun":
    case "refused":
      return state;
  }
}
