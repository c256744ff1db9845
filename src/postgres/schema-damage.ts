import type { Executor } from "./driver.ts";
import { type Migration, renderSql } from "./migration.ts";
import { readObjects, readSource } from "./read-objects.ts";
import { createSchema, type Schema } from "./schema.ts";
import { functionDetail, joinObjects, objectsOf, type SchemaObjects } from "./schema-objects.ts";
import { SHARED_LEDGER } from "./foreign-schema.ts";
import type { SchemaState } from "./schema-revision.ts";

/**
 * Compares what is there with what migrations make, up to the revision that fits
 * best: that of the ledger, or a later one that fits better; any one if the
 * ledger is empty or has gaps. Columns, indexes and triggers of users do not matter.
 * Returns `undefined` when all is as it should be.
 */
export async function findDamage(
  executor: Executor,
  schema: Schema,
  { state, migrations }: { readonly state: SchemaState; readonly migrations: readonly Migration[] },
): Promise<Damage | undefined> {
  const { applied, shared, isAdopted } = state;
  const known = migrations.filter(({ id }) => id <= state.revision);
  const isLedgerWhole = known.length > 0 && known.every(({ id }) => applied.includes(id));
  const least = isLedgerWhole ? known.length : 1;
  // An upgrade is under way as long as nothing of what comes next is there.
  const candidates = migrations
    .map((_, index) => migrations.slice(0, index + 1))
    .filter((some) => some.length >= least)
    // The list itself has been read.
    .map((some) => (some.length === migrations.length ? migrations : some));
  // What a later migration drops is there before it.
  const found = await readObjects(executor, schema, joinObjects(candidates.map(objectsOf)));
  if (found.size === 0) return undefined;
  const formerName = await findFormerName(executor, schema, { found, migrations });
  const [best] = candidates
    .map((some) => ({ some, ...differenceOf(objectsOf(some), { found, schema, formerName, isAdopted }) }))
    .toSorted(
      (a, b) =>
        a.distance - b.distance ||
        a.functions.length - b.functions.length ||
        // A migration that leaves no trace here was applied if the ledger says so; a ledger with gaps does not say.
        (isLedgerWhole ? a.some.length - b.some.length : b.some.length - a.some.length),
    );
  if (!best) return undefined;
  const { some, functions, beyondRepair } = best;
  const unnoted = some.filter(({ id }) => !applied.includes(id));
  // The ledger of those who made the tables is theirs.
  const isSharedLacking = !isAdopted && shared < SHARED_LEDGER.latest;
  if (unnoted.length === 0 && !isSharedLacking && functions.length === 0 && beyondRepair.length === 0) return undefined;
  return { revision: some.at(-1)?.id ?? 0, unnoted, isSharedLacking, functions, formerName, beyondRepair };
}

/** What is wrong with a schema, and how much of it can be mended. */
export interface Damage {
  /** The migrations whose objects are there, so that the ledger has to name them. */
  readonly revision: number;
  /** Migrations that the ledger does not name although they were applied. */
  readonly unnoted: readonly Migration[];
  /** The ledger that is shared with other implementations lacks rows. */
  readonly isSharedLacking: boolean;
  /** Functions to create again, in the order of the migrations: they are missing, or speak of the schema's former name. */
  readonly functions: readonly string[];
  /** The name that the schema had when its functions were made. */
  readonly formerName: string | undefined;
  /** What no release can make good: keys of objects that are missing or different. */
  readonly beyondRepair: readonly string[];
}

/** The statements that create what is missing, apart from the rows of our own ledger. */
export function repairOf(
  { functions: keys, revision, unnoted, isSharedLacking }: Damage,
  { migrations, schema }: { readonly migrations: readonly Migration[]; readonly schema: Schema },
): string[] {
  const { functions, seeds } = objectsOf(migrations.filter(({ id }) => id <= revision));
  const made = keys.flatMap((key) => functions.get(key) ?? []);
  // What has emptied a ledger may have emptied every table.
  const lost = unnoted.length > 0 || isSharedLacking ? seeds : [];
  const rows = lost.filter((statement) => isSharedLacking || !SHARED_SEED.test(statement));
  return [
    ...made.map(({ statement }) => statement.replace(/^create (?:or replace )?/, "create or replace ")),
    // A function that is created again has lost them.
    ...made.flatMap(({ settings }) => settings),
    ...rows.map((statement) => `${statement} on conflict do nothing`),
  ].map((statement) => renderSql(statement, schema));
}

/** The rows of the ledger that is shared with other implementations. */
const SHARED_SEED = new RegExp(`^insert into :"schema"\\.${SHARED_LEDGER.table} `);

interface Found {
  readonly found: ReadonlyMap<string, string>;
  readonly schema: Schema;
  readonly formerName: string | undefined;
  /** The tables were made by another implementation. */
  readonly isAdopted: boolean;
}

/** What may be missing in a schema that was adopted: what the others make later, and what tells them that it is not theirs. */
const NOT_IN_ADOPTED = new Set(["view jobs", "column _private_job_queues.is_available"]);

function differenceOf(
  objects: SchemaObjects,
  { found, schema, formerName, isAdopted }: Found,
): Pick<Damage, "functions" | "beyondRepair"> & { readonly distance: number } {
  const former = formerName === undefined ? undefined : createSchema(formerName);
  const functions: string[] = [];
  const beyondRepair = [...objects.plain]
    .filter(([key, detail]) => found.get(key) !== detail && !(isAdopted && NOT_IN_ADOPTED.has(key)))
    .map(([key]) => key);
  for (const [key, made] of objects.functions) {
    const detail = found.get(key);
    if (detail === functionDetail(made, schema)) continue;
    if (detail === undefined || (former && detail === functionDetail(made, former))) functions.push(key);
    // Other implementations may replace the functions that they share.
    else if (key.startsWith("function _howdah_")) beyondRepair.push(key);
  }
  const surplus = [...found.keys()].filter((key) => !objects.plain.has(key) && !objects.functions.has(key));
  return { functions, beyondRepair, distance: beyondRepair.length + surplus.length };
}

/** The name that stands in the functions, if it is another one. */
async function findFormerName(
  executor: Executor,
  schema: Schema,
  { found, migrations }: { readonly found: ReadonlyMap<string, string>; readonly migrations: readonly Migration[] },
): Promise<string | undefined> {
  for (const [key, made] of objectsOf(migrations).functions) {
    const detail = found.get(key);
    const before = made.body?.split(':"schema"')[0];
    if (made.body === undefined || before === made.body || before === undefined) continue;
    if (detail === undefined || detail === functionDetail(made, schema)) continue;
    const source = await readSource(executor, schema, key.slice("function ".length, key.indexOf("(")));
    if (!source?.startsWith(before)) continue;
    const quoted = /^"((?:[^"]|"")+)"\./.exec(source.slice(before.length))?.[1];
    const name = quoted?.replaceAll('""', '"');
    if (name === undefined || name === schema.name) continue;
    return detail === functionDetail(made, createSchema(name)) ? name : undefined;
  }
  return undefined;
}
