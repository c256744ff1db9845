import { expect, it } from "vitest";
import { createPlace } from "../layouts.ts";
import { runFleet } from "./run-fleet.ts";

/** How long a fleet runs: half a minute, or as many minutes as `HOWDAH_COMPAT_MINUTES` says. */
const MINUTES = Number(process.env["HOWDAH_COMPAT_MINUTES"] || 0.5);
const DURATION_MS = MINUTES * 60_000;

it.each(["owned", "shared"] as const)(
  "two workers of Howdah and two of graphile-worker do every job of one schema, and queues one after another: %s",
  async (layout) => {
    await using place = await createPlace(layout);
    const result = await runFleet(place, {
      seed: 7,
      durationMs: DURATION_MS,
      jobs: Math.round(DURATION_MS / 40),
      kills: Math.max(8, Math.round(DURATION_MS / 3_500)),
    });
    // oxlint-disable-next-line no-console -- what the fleet did, and what only their local queue is to blame for
    console.log(
      JSON.stringify({ layout, ...result, violations: result.violations.length, blamed: result.blamed.length }),
    );
    expect(result.violations, `ledgers in ${result.folder}`).toEqual([]);
    // All four have taken part, and were killed.
    expect(Math.min(...Object.values(result.runs))).toBeGreaterThan(100);
    expect(Math.min(...Object.values(result.kills))).toBeGreaterThan(2);
  },
  DURATION_MS + 120_000,
);
