import type { History, Outage, WorkerLife } from "../history.ts";
import type { Micros } from "../ledger.ts";
import type { Rule } from "../verdict.ts";

/** Silence that ended longer ago is no reason any more to be declared dead. */
const REASON_LASTS: Micros = 3_000_000;

/** So long after its start a worker is certainly watched by its session. */
const SETTLED_AFTER: Micros = 2_000_000;

/**
 * No worker is declared dead that lives, which it shows by a line that it wrote
 * later. There are two excuses: it stood still, or its way to the server was
 * away, unless that was the way of most workers: then others have to wait.
 */
export const livingAreLeftAlone: Rule = ({ history, tables, wallOffset }) => {
  const declaredAt = new Map(tables.declared.map(({ worker, atMs }) => [worker, atMs * 1_000 - wallOffset]));
  const wronged = history.workers.flatMap((life) =>
    life.ids.flatMap((id) => {
      const at = declaredAt.get(id);
      return at === undefined || at >= life.lastSignAt ? [] : [{ id, at, life }];
    }),
  );
  const unexcused = wronged.filter(({ life, at }) => !isExcused(history, life, at));
  return {
    violations: unexcused.map(({ id, at, life }) => `${id} of ${life.file} was declared dead and lived, at ${at}`),
    counts: { takenForDead: wronged.length - unexcused.length },
  };
};

function isExcused(history: History, life: WorkerLife, at: Micros): boolean {
  const isNear = ({ from, until }: { readonly from: Micros; readonly until: Micros }): boolean =>
    from <= at && until >= at - REASON_LASTS;
  return (
    (history.standstills.get(life.file) ?? []).some(isNear) ||
    history.outages.some((outage) => outage.places.includes(life.place) && isNear(outage) && !isOfMost(history, outage))
  );
}

/** Whether certainly more than half of all workers went at once, seen by a worker that was not among them. */
function isOfMost({ workers, standstills }: History, { places, from, until }: Outage): boolean {
  const all = new Set(workers.map(({ place }) => place));
  const gone = workers.filter(
    ({ file, place, readyAt, lastSignAt }) =>
      places.includes(place) &&
      readyAt <= from - SETTLED_AFTER &&
      lastSignAt >= until &&
      !(standstills.get(file) ?? []).some((still) => still.from <= until && still.until >= from),
  );
  return 2 * gone.length > all.size;
}
