/** Rows that stay where they are while newer ones wait to be shown. */
export interface HeldRows<Row> {
  readonly rows: readonly Row[];
  /** How many rows there are that are not shown yet. */
  readonly newer: number;
}

/**
 * Takes news into rows that are shown: what is known of them changes in its
 * place, and no row moves under the pointer. New rows wait until they are asked for.
 */
export function heldRows<Row extends { readonly id: string }>(
  shown: readonly Row[],
  latest: readonly Row[],
): HeldRows<Row> {
  if (shown.length === 0) return { rows: latest, newer: 0 };
  const news = new Map(latest.map((row) => [row.id, row]));
  const ids = new Set(shown.map(({ id }) => id));
  return {
    rows: shown.map((row) => news.get(row.id) ?? row),
    newer: latest.filter(({ id }) => !ids.has(id)).length,
  };
}
