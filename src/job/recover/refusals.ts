import type { RefusedRow } from "../../postgres/queries/recover.ts";

/**
 * Which rows of dead workers cannot be returned, and which of them have been reported.
 *
 *   row      is                                 leaves when
 *   new      refused, and known for nothing     -> told
 *   told     refused as before                  its holder is tried again without it -> forgotten
 *            refused for another reason         -> new
 *            of a holder that is gone           -> forgotten
 */
export class Refusals {
  #known: readonly RefusedRow[] = [];

  /** How many jobs cannot be returned. */
  get jobs(): number {
    return this.#known.filter(({ kind }) => kind === "job").length;
  }

  /** What a holder has of one kind was tried, and these rows were refused. Returns those that are news. */
  tried(workerId: string, kind: RefusedRow["kind"], refused: readonly RefusedRow[]): readonly RefusedRow[] {
    const known = new Set(this.#known.map(nameOf));
    const others = this.#known.filter((row) => row.workerId !== workerId || row.kind !== kind);
    this.#known = [...others, ...refused];
    return refused.filter((row) => !known.has(nameOf(row)));
  }

  /** Forgets everything that is held by others than these. */
  keepOnly(isThere: (workerId: string) => boolean): void {
    this.#known = this.#known.filter(({ workerId }) => isThere(workerId));
  }
}

function nameOf({ kind, id, state, message }: RefusedRow): string {
  return JSON.stringify([kind, id, state, message]);
}
