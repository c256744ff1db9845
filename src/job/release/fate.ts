import type { ReleaseStatus } from "../../postgres/queries/release.ts";
import { asCommitted, toChange, type Ending } from "./ending.ts";
import type { Attempt } from "./part.ts";

/** What became of an ending: written, not ours to write, to be written later, or in vain. */
export type Fate =
  | { readonly kind: "released"; readonly ending: Ending }
  | { readonly kind: "refused" }
  | { readonly kind: "busy" }
  | { readonly kind: "kept" };

const REFUSED: Fate = { kind: "refused" };
const BUSY: Fate = { kind: "busy" };
const KEPT: Fate = { kind: "kept" };

/**
 * What an answer says about one ending:
 *
 *   status     ending       first, again      repeat
 *   (none)     any          released          released
 *   busy       any          busy              busy
 *   kept       any          kept              kept
 *   gone       undecided    completed         completed
 *   gone       any other    refused           released
 *   lost       completed    refused           refused
 *   lost       any other    refused           released
 */
export function fateOf(ending: Ending, status: ReleaseStatus | undefined, attempt: Attempt): Fate {
  const { outcome } = ending;
  switch (status) {
    case undefined:
      return { kind: "released", ending };
    case "busy":
      return BUSY;
    case "kept":
      return KEPT;
    case "gone":
      // Gone with the transaction of its handler, of whose end only the row tells.
      if (outcome.kind === "undecided") return { kind: "released", ending: asCommitted(ending, outcome) };
      return attempt === "repeat" ? { kind: "released", ending } : REFUSED;
    case "lost":
      // Sent again, a job that is no longer ours was written the first time.
      return attempt === "repeat" && toChange(ending) !== null ? { kind: "released", ending } : REFUSED;
    default:
      return status satisfies never;
  }
}
