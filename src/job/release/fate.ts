import { compareIntegers } from "../../postgres/position.ts";
import type { ReleaseAnswer } from "../../postgres/queries/ending/release.ts";
import type { Ending } from "../outcome.ts";
import { asCommitted, toChange, type Attempt } from "./part.ts";

/**
 * What became of an ending: written, not ours to write, not known, to be
 * written later, not to be written at all, or to be written with its result.
 */
export type Fate =
  | { readonly kind: "released"; readonly ending: Ending }
  | { readonly kind: "refused" | "unknown" | "busy" | "kept" | "awaited" };

/**
 * What an answer says about one ending. A repeat may find what the statement
 * before it has written, so it is not refused before the row has been asked.
 *
 *   status     ending       first, again      repeat
 *   (none)     any          released          released
 *   busy       any          busy              busy
 *   kept       any          kept              kept
 *   awaited    completed    awaited           awaited: its result is asked for
 *   done       undecided    completed         completed
 *   gone       undecided    unknown           unknown: its handler did not wait
 *   gone       completed    refused           released: no other worker had the job
 *   gone       any other    refused           unknown
 *   taken      any          refused           unknown
 *   lost       completed    refused           refused: it would be gone
 *   lost       any other    refused           released, refused or unknown: as the
 *                                             last release of the row was ours, is
 *                                             older, or is newer
 */
export function fateOf(ending: Ending, answer: ReleaseAnswer, attempt: Attempt): Fate {
  const { job, outcome } = ending;
  // Nearly always it is empty, and a look into it would still hash the id.
  const status = answer.unreleased.size === 0 ? undefined : answer.unreleased.get(job.id);
  switch (status) {
    case undefined:
      return { kind: "released", ending };
    case "busy":
      return BUSY;
    case "kept":
      return KEPT;
    case "awaited":
      return AWAITED;
    case "done":
      return outcome.kind === "undecided" ? { kind: "released", ending: asCommitted(ending, outcome) } : UNKNOWN;
    case "taken":
      return attempt === "repeat" ? UNKNOWN : REFUSED;
    case "gone":
      if (outcome.kind === "undecided") return UNKNOWN;
      if (attempt !== "repeat") return REFUSED;
      return toChange(ending) === null ? { kind: "released", ending } : UNKNOWN;
    case "lost":
      if (attempt !== "repeat" || toChange(ending) === null) return REFUSED;
      return fateOfRepeat(ending, answer.releasedAts.get(job.id));
    default:
      return status satisfies never;
  }
}

/** A release leaves its claim in the row, and nothing ever sets that back. */
function fateOfRepeat(ending: Ending, releasedAt: string | null | undefined): Fate {
  const { claimTimes } = ending.job;
  if (releasedAt == null) return REFUSED;
  if (claimTimes.includes(releasedAt)) return { kind: "released", ending };
  return claimTimes.every((claimedAt) => compareIntegers(releasedAt, claimedAt) < 0) ? REFUSED : UNKNOWN;
}

const REFUSED: Fate = { kind: "refused" };
const UNKNOWN: Fate = { kind: "unknown" };
const BUSY: Fate = { kind: "busy" };
const KEPT: Fate = { kind: "kept" };
const AWAITED: Fate = { kind: "awaited" };
