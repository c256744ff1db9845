import { HowdahError } from "../../errors.ts";
import { applyMigrations, type ApplyOptions, type MigrateResult } from "../apply-migrations.ts";
import { adoptSchema } from "./adopt-schema.ts";
import { ownSchema } from "./own-schema.ts";
import { releaseSchema } from "./release-schema.ts";

/**
 * Migrates a schema, and changes whose tables it has if one of the options says so:
 * adopts those of graphile-worker, makes them Howdah's own, or takes out what
 * Howdah has added. Throws as these do, and `HOWDAH_OPTION_INVALID` for several at once.
 */
export async function changeLayout(changes: LayoutChanges, options: ApplyOptions): Promise<MigrateResult> {
  const change = chosenChange(changes);
  return change === undefined ? applyMigrations(options) : CHANGES[change](options);
}

/** What becomes of a schema that graphile-worker or graphile_worker_rs made. One of them at a time. */
export interface LayoutChanges {
  /**
   * Adds to it what Howdah needs, beside workers that go on, and changes nothing
   * that they need. A schema of Howdah, or none, is migrated as ever. Default false.
   */
  readonly adopt?: boolean | undefined;
  /**
   * Makes an adopted one Howdah's own: its tables are written anew, and cannot be
   * used meanwhile; claims get cheaper, and workers of others fail at their next claim.
   * Stop those first. Default false.
   */
  readonly own?: boolean | undefined;
  /**
   * Takes out of an adopted one all that Howdah has added, also after `own`: it is
   * graphile-worker's as before, with its jobs. Stop the workers of Howdah first. Default false.
   */
  readonly release?: boolean | undefined;
}

/** The one that is chosen. Throws `HOWDAH_OPTION_INVALID` for several. */
export function chosenChange(changes: LayoutChanges): LayoutChange | undefined {
  const chosen = (["adopt", "own", "release"] as const).filter((name) => changes[name] === true);
  if (chosen.length < 2) return chosen[0];
  const names = chosen.map((name) => `\`${name}\``).join(" and ");
  throw new HowdahError("HOWDAH_OPTION_INVALID", `Options ${names} are given together. Specify only one of them.`);
}

/** The name of a change. */
export type LayoutChange = keyof LayoutChanges;

const CHANGES: Readonly<Record<LayoutChange, (options: ApplyOptions) => Promise<MigrateResult>>> = {
  adopt: adoptSchema,
  own: ownSchema,
  release: releaseSchema,
};
