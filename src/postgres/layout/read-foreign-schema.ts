import { HowdahError } from "../../errors.ts";
import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import { migrations as released } from "../migrations.generated.ts";
import { readObjects } from "../read-objects.ts";
import { functionDetail, objectsOf } from "../schema-objects.ts";
import { SHARED_LEDGER, unknownBreaking } from "../foreign-schema.ts";
import { ADOPTION, OWNED_MARK } from "../schema-revision.ts";
import { quoteIdentifier, type Schema } from "../schema.ts";

/**
 * Looks at a schema that another implementation made, and at what was added to it.
 * Run inside of a transaction whose search_path is pg_catalog. Throws
 * `HOWDAH_SCHEMA_FOREIGN` when it is not as theirs are, `HOWDAH_SCHEMA_TOO_NEW` when a
 * breaking migration of theirs is not known here, `HOWDAH_DATABASE_FORBIDDEN` when
 * the tables belong to a role that this one cannot become.
 */
export async function readForeignSchema(executor: Executor, schema: Schema): Promise<ForeignSchema> {
  const missing = await findMissing(executor, schema);
  if (missing.length > 0) throw notTheirs(schema, `lacks ${missing.slice(0, MOST_SHOWN).join(", ")}`);
  const { ledger, breaking } = await readLedger(executor, schema);
  if (breaking !== undefined) throw unknownBreaking(schema, breaking);
  if (ledger < OLDEST_LEDGER) {
    throw notTheirs(
      schema,
      `is at their migration ${ledger}, and ${OLDEST_LEDGER} is the first that can be adopted: ` +
        "let graphile-worker 0.16 or newer migrate it first",
    );
  }
  const shared = sharedFunctions();
  const { rows } = await executor.query({
    text: FOUND,
    values: [schema.name, textArray([...shared.keys()])],
  });
  const [relations, columns, triggers, indexes, functions, owner] = (rows[0] ?? []).map(
    (cell) => JSON.parse(cell ?? "[]") as unknown,
  );
  const [other, mayBecome] = (owner as [string, boolean][])[0] ?? [];
  if (other !== undefined && mayBecome !== true) throw belongsTo(schema, other);
  return {
    ledger,
    relations: new Set(relations as string[]),
    columns: new Set(columns as string[]),
    triggers: new Set(triggers as string[]),
    indexes: new Map(indexes as [string, boolean][]),
    owner: other,
    functions: (functions as [string, string, string, string, boolean][]).map(
      ([name, definition, hash, signature, isDefiner]) => ({
        name,
        definition,
        signature,
        isDefiner,
        isOurs: hash === detailOf(shared.get(name), schema),
      }),
    ),
  };
}

/** What is there in a schema of another implementation. */
export interface ForeignSchema {
  /** Their newest migration. */
  readonly ledger: number;
  /** The names of all tables, views, indexes, sequences and types with columns. */
  readonly relations: ReadonlySet<string>;
  /** The columns that were added to their tables, as `table.column`. */
  readonly columns: ReadonlySet<string>;
  /** The triggers that were added to their tables. */
  readonly triggers: ReadonlySet<string>;
  /** The indexes of the schema, and whether each is valid. */
  readonly indexes: ReadonlyMap<string, boolean>;
  /** Who owns the tables, when that is another role than the one that looks. */
  readonly owner: string | undefined;
  /** The functions of the shared interface that are there. */
  readonly functions: readonly SharedFunction[];
}

/** A function of the interface that the implementations share. */
export interface SharedFunction {
  readonly name: string;
  /** The statement that creates it as it is. */
  readonly definition: string;
  /** How statements name it. */
  readonly signature: string;
  /** It runs with the rights of its owner, which an operator has set: no implementation does. */
  readonly isDefiner: boolean;
  /** Whether it is the one of this release. */
  readonly isOurs: boolean;
}

/** The keys of the functions of the shared interface, as migrations make them, by name. */
function sharedFunctions(): ReadonlyMap<string, string> {
  const keys = [...objectsOf(released).functions.keys()].filter((key) => !key.startsWith("function _howdah_"));
  return new Map(keys.map((key) => [key.slice("function ".length, key.indexOf("(")), key]));
}

function detailOf(key: string | undefined, schema: Schema): string | undefined {
  const made = objectsOf(released).functions.get(key ?? "");
  return made && functionDetail(made, schema);
}

/** What all implementations have, of the tables that both make. */
async function findMissing(executor: Executor, schema: Schema): Promise<string[]> {
  const wanted = objectsOf(released.slice(0, 1));
  const found = await readObjects(executor, schema, wanted);
  return [...wanted.plain]
    .filter(([key]) => !NOT_THEIRS.test(key) && !LATER.has(key))
    .filter(([key, detail]) => found.get(key) !== detail)
    .map(([key]) => key);
}

/** What Howdah alone makes; the table of workers is not there before graphile_worker_rs has made it. */
const NOT_THEIRS = /_howdah_|_private_workers/;

/** What they make later than the first migration that can be adopted, or what tells them that a schema is not theirs any more. */
const LATER = new Set(["view jobs", "column _private_job_queues.is_available"]);

async function readLedger(
  executor: Executor,
  schema: Schema,
): Promise<{ readonly ledger: number; readonly breaking: number | undefined }> {
  const theirs = `from ${schema.of(SHARED_LEDGER.table)} where id <> ${OWNED_MARK}`;
  const { rows } = await executor.query({
    text: `select max(id), max(id) filter (where breaking and id > ${SHARED_LEDGER.latest}) ${theirs}`,
  });
  const [ledger, breaking] = rows[0] ?? [];
  return { ledger: Number(ledger ?? 0), breaking: breaking == null ? undefined : Number(breaking) };
}

function notTheirs(schema: Schema, problem: string): HowdahError {
  return new HowdahError(
    "HOWDAH_SCHEMA_FOREIGN",
    `Schema ${schema.quoted} cannot be adopted: it ${problem}. Nothing was changed.`,
  );
}

function belongsTo(schema: Schema, owner: string): HowdahError {
  return new HowdahError(
    "HOWDAH_DATABASE_FORBIDDEN",
    `The tables of schema ${schema.quoted} belong to role ${quoteIdentifier(owner)}, which alone may change them: ` +
      "run this with that role, or with one that is a member of it. Nothing was changed.",
  );
}

/** The first of their migrations after which the tables have the names that are used here. */
const OLDEST_LEDGER = 16;

/** How many objects a message names. */
const MOST_SHOWN = 5;

// $1 schema   $2 functions
const FOUND = `
with space as (
  select oid from pg_namespace where nspname = $1
), relation as (
  select class.oid, class.relname from pg_class as class join space on space.oid = class.relnamespace
  where class.relname <> '${ADOPTION}'
)
select
  (select json_agg(relname) from relation),
  (
    select json_agg(concat(relation.relname, '.', attribute.attname))
    from relation join pg_attribute as attribute on attribute.attrelid = relation.oid
    where attribute.attnum > 0 and not attribute.attisdropped and attribute.attname like '\\_howdah\\_%'
  ),
  (
    select json_agg(trigger.tgname)
    from relation join pg_trigger as trigger on trigger.tgrelid = relation.oid
    where not trigger.tgisinternal
  ),
  (
    select json_agg(json_build_array(relation.relname, index.indisvalid and index.indisready))
    from relation join pg_index as index on index.indexrelid = relation.oid
  ),
  (
    select json_agg(json_build_array(
      proname, pg_get_functiondef(function.oid), md5(convert_to(function.prosrc, 'UTF8')),
      function.oid::regprocedure::text, function.prosecdef
    ))
    from pg_proc as function join space on space.oid = function.pronamespace
    where function.proname = any($2::name[]) and function.prokind = 'f'
  ),
  (
    select json_agg(json_build_array(pg_get_userbyid(class.relowner), pg_has_role(class.relowner, 'member')))
    from pg_class as class join space on space.oid = class.relnamespace
    where class.relname = '_private_jobs' and pg_get_userbyid(class.relowner) <> current_user
  )`;
