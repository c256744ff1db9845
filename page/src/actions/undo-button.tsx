import { useState } from "preact/hooks";
import type { ActionAnswer, UndoView } from "../../../src/admin/contract/bulk-views.ts";
import { toProblem } from "../api/problem.ts";
import { plural } from "../format/numbers.ts";
import { type Page, usePage } from "../page.ts";

/** Takes a change of jobs back, and says how far that went. */
export function UndoButton({ undo }: { readonly undo: UndoView }) {
  const page = usePage();
  const [said, setSaid] = useState<string>();
  const press = async (): Promise<void> => {
    setSaid("");
    setSaid(await undone(page, undo));
    page.changed.value += 1;
  };
  return (
    <p class="undo">
      {said === undefined && (
        <button type="button" class="small" onClick={() => void press()}>
          Undo
        </button>
      )}{" "}
      <span class="quiet" role="status">
        {said ?? undo.sentence}
      </span>
    </p>
  );
}

/** Sends the steps one after another. Never rejects. */
export async function undone({ api }: Pick<Page, "api">, { steps }: UndoView): Promise<string> {
  let changed = 0;
  let untouched = 0;
  try {
    for (const step of steps) {
      const answer = await api.post<ActionAnswer>("jobs/actions", step);
      changed += answer.changed.length;
      untouched += answer.untouched.length;
    }
  } catch (error) {
    return `Undone of ${plural(changed, "job")}, then stopped: ${toProblem(error).message}`;
  }
  const left =
    untouched > 0
      ? `; ${plural(untouched, "other")} had begun to run, or ${untouched === 1 ? "was" : "were"} gone`
      : "";
  return `Undone of ${plural(changed, "job")}${left}.`;
}
