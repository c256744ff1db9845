import type { Cell, Executor, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/**
 * Stores the identifiers that are new and returns all of them by their ids. Given with
 * what is stored of each, it also stores that where it differs; else what is stored stays.
 *
 * Beside another worker doing the same: one of them inserts, the other waits
 * for its commit and reads; of two with other settings the last one counts. Beside a
 * clean-up, which takes table locks: before or after it. May be repeated.
 */
export async function registerTasks(
  executor: Executor,
  schema: Schema,
  tasks: readonly string[] | ReadonlyMap<string, StoredTaskSettings>,
): Promise<Map<number, string>> {
  const settings = tasks instanceof Map ? (tasks as ReadonlyMap<string, StoredTaskSettings>) : undefined;
  const values = [textArray(settings ? [...settings.keys()] : (tasks as readonly string[]))];
  const table = schema.of("_private_tasks");
  // Only the missing ones, so that the sequence of ids is not used up; sorted, so that two workers cannot deadlock.
  await executor.query({
    text: `
      insert into ${table} (identifier)
      select wanted.identifier from pg_catalog.unnest($1::pg_catalog.text[]) as wanted(identifier)
      where not exists (select from ${table} as known where known.identifier operator(pg_catalog.=) wanted.identifier)
      order by wanted.identifier
      on conflict (identifier) do nothing`,
    values,
  });
  const { rows } = await executor.query({
    text: `select id, identifier, _howdah_keep, _howdah_keep_payload, _howdah_keep_result, _howdah_dead_letter
from ${table} where identifier operator(pg_catalog.=) any ($1::pg_catalog.text[])`,
    values,
  });
  if (settings) await storeSettings(executor, schema, changesOf(rows, settings));
  return new Map(rows.map(([id, identifier]) => [Number(id), String(identifier)]));
}

/** What is stored of a task beside its identifier, for the calls that end jobs without a worker. */
export interface StoredTaskSettings {
  /** What is kept of its jobs when they have ended; `undefined` for nothing. */
  readonly keep?: StoredKeep | undefined;
  /** The task that gets a job when one of this task has failed for good; `undefined` for none. */
  readonly deadLetter?: string | undefined;
}

/** How long jobs are kept, and what of them. */
export interface StoredKeep {
  readonly days: number;
  readonly payload: boolean;
  readonly result: boolean;
}

/** The columns of a task: its id, for how many days, payload, result, dead letters. */
type SettingCells = readonly [id: Cell, days: Cell, payload: Cell, result: Cell, deadLetter: Cell];

/** The tasks of these rows whose settings are to be others. */
function changesOf(rows: readonly Row[], settings: ReadonlyMap<string, StoredTaskSettings>): SettingCells[] {
  return rows.flatMap(([id = null, identifier, ...stored]): SettingCells[] => {
    const { keep, deadLetter = null } = settings.get(String(identifier)) ?? {};
    const wanted = [keep ? String(keep.days) : null, flag(keep?.payload), flag(keep?.result), deadLetter] as const;
    return wanted.every((cell, index) => cell === (stored[index] ?? null)) ? [] : [[id, ...wanted]];
  });
}

/** As PostgreSQL writes it. */
function flag(value: boolean | undefined): string {
  return value === true ? "t" : "f";
}

/** Locked in the order of their ids, so that two workers cannot deadlock. */
async function storeSettings(executor: Executor, schema: Schema, changes: readonly SettingCells[]): Promise<void> {
  if (changes.length === 0) return;
  const tasks = schema.of("_private_tasks");
  const column = (place: number): Cell[] => changes.map((cells) => cells[place] ?? null);
  const plain = (place: number): string => numberArray(column(place).map((cell) => cell ?? "null"));
  await executor.query({
    text: `
      with wanted as materialized (
        select task.id, given.days, given.payload, given.result, given.dead_letter
        from rows from (
          pg_catalog.unnest($1::pg_catalog.int4[]), pg_catalog.unnest($2::pg_catalog.int2[]),
          pg_catalog.unnest($3::pg_catalog.bool[]), pg_catalog.unnest($4::pg_catalog.bool[]),
          pg_catalog.unnest($5::pg_catalog.text[])
        ) as given(id, days, payload, result, dead_letter)
        join ${tasks} as task on task.id operator(pg_catalog.=) given.id
        order by task.id for update of task
      )
      update ${tasks} as task
      set _howdah_keep = wanted.days, _howdah_keep_payload = wanted.payload, _howdah_keep_result = wanted.result,
        _howdah_dead_letter = wanted.dead_letter
      from wanted where task.id operator(pg_catalog.=) wanted.id`,
    values: [plain(0), plain(1), plain(2), plain(3), textArray(column(4))],
  });
}
