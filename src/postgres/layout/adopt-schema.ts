import { backoffMs } from "../../runtime/backoff.ts";
import { systemClock } from "../../runtime/clock.ts";
import { applyMigrations, type ApplyOptions, type MigrateResult, underMigrationLock } from "../apply-migrations.ts";
import type { Executor } from "../driver.ts";
import { migrations as released } from "../migrations.generated.ts";
import { SHARED_LEDGER } from "../foreign-schema.ts";
import { checkServer, checkState, readSchemaState, type SchemaState } from "../schema-revision.ts";
import { isLocked } from "../sqlstate.ts";
import { type AdoptionPlan, planAdoption } from "./plan-adoption.ts";
import { type ForeignSchema, readForeignSchema } from "./read-foreign-schema.ts";
import { renewSessions } from "./renew-sessions.ts";
import { schemaBusy, whyUnchanged } from "./schema-busy.ts";
import { withoutOthers } from "./without-others.ts";

/**
 * Adds to a schema of graphile-worker or graphile_worker_rs what Howdah needs, beside
 * workers that go on, and leaves their tables, indexes and ledger as they are. Safe
 * to do again, at the same moment elsewhere, and after a process was killed in the
 * middle. A schema of Howdah's own, or none, is migrated as `applyMigrations` does.
 * Throws what that throws, `HOWDAH_SCHEMA_FOREIGN` for a schema that cannot be
 * adopted, and `HOWDAH_SCHEMA_BUSY` when tables stay locked.
 */
export async function adoptSchema(options: AdoptOptions): Promise<MigrateResult> {
  const { driver, schema, logger } = options;
  const state = await readSchemaState(driver, schema);
  checkServer(state.server);
  if (!isOfOthers(state)) return applyMigrations(options);
  try {
    const { ledger, applied } = await withoutOthers(options, () => adopt(options));
    if (applied.length > 0) {
      logger?.info(`Adopted schema ${schema.quoted}, which is at migration ${ledger} of graphile-worker`, {
        schema: schema.name,
        ledger,
      });
    }
    if (ledger > SHARED_LEDGER.latest) {
      logger?.warn(
        `Schema ${schema.quoted} is at migration ${ledger} of another job queue, this release knows those up to ` +
          `${SHARED_LEDGER.latest}: the functions that it shares stay as they are`,
        { schema: schema.name, ledger },
      );
    }
    const rest = await applyMigrations(options);
    return { revision: rest.revision, applied: [...applied, ...rest.applied] };
  } catch (error) {
    throw whyUnchanged(schema, error);
  }
}

/** What to adopt and how patient to be. */
export interface AdoptOptions extends ApplyOptions {
  /** How long to look for sessions of others that have to connect anew. Default 3000. */
  readonly watchMs?: number | undefined;
}

/**
 * The SQL of what {@link adoptSchema} would do now, found without changing anything;
 * `undefined` when there is nothing of others to adopt. Throws as that does.
 */
export async function describeAdoption(options: ApplyOptions): Promise<string | undefined> {
  const { driver, schema } = options;
  const state = await readSchemaState(driver, schema);
  checkServer(state.server);
  if (!isOfOthers(state)) return undefined;
  const { columns, marking, indexes, objects } = await underMigrationLock(options, async (transaction) => {
    const { plan } = await look(transaction, options);
    return plan;
  });
  const path = "set local search_path = pg_catalog, pg_temp";
  const parts = [
    ...block(columns, ["begin", path, `set local lock_timeout = ${LOCK_TIMEOUT_MS}`], "Their tables: plain columns"),
    ...(columns.length > 0 ? [`-- Until it changes no row.\n${marking};`] : []),
    ...indexes.flatMap(({ drop, create }) => [...(drop ? [`${drop};`] : []), `${create};`]),
    ...block(objects, ["begin", path], "What is Howdah's alone, and the functions that both have"),
  ];
  return parts.join("\n\n");
}

function block(statements: readonly string[], head: readonly string[], title: string): string[] {
  if (statements.length === 0) return [];
  return [`-- ${title}.\n${[...head, ...statements, "commit"].map((statement) => `${statement};`).join("\n\n")}`];
}

/** Whether the tables were made by another implementation and are not Howdah's own since. */
function isOfOthers({ layout, isAdopted, isOurs, revision, taken }: SchemaState): boolean {
  if (isOurs) return layout === "shared" || (isAdopted && revision === 0);
  return taken.includes(SHARED_LEDGER.table) && taken.includes("_private_jobs");
}

interface Adopted {
  readonly ledger: number;
  readonly applied: readonly number[];
}

async function adopt(options: AdoptOptions): Promise<Adopted> {
  const { migrations = released } = options;
  const changedAt = await addColumns(options);
  await Promise.all([
    changedAt === undefined ? 0 : renewSessions(options, { ...options, changedAt }),
    markExhausted(options).then(() => buildIndexes(options)),
  ]);
  return underMigrationLock(options, async (transaction) => {
    const { plan, found, revision } = await look(transaction, options);
    if (plan.objects.length > 0) {
      await transaction.query({ text: plan.objects.join(";\n"), timeoutMs: STEP_TIMEOUT_MS });
    }
    return { ledger: found.ledger, applied: revision > 0 ? [] : migrations.map(({ id }) => id) };
  });
}

/**
 * Changes their tables, and answers when; `undefined` when there was nothing to change.
 * What they call meanwhile is refused if it began before: so it is first tried without
 * waiting for a lock, which lets nothing queue up behind it.
 */
async function addColumns(options: ApplyOptions): Promise<string | undefined> {
  const { schema, clock = systemClock, attempts = ATTEMPTS, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
  const tables = ["_private_jobs", "_private_job_queues", "_private_tasks"].map((table) => schema.of(table)).join(", ");
  const add = async (transaction: Executor, lock: string): Promise<string | undefined> => {
    const { plan } = await look(transaction, options);
    if (plan.columns.length === 0) return undefined;
    // Together, so that the locks are held as briefly as can be.
    await transaction.query({ text: [lock, ...plan.columns].join(";\n") });
    const { rows } = await transaction.query({ text: "select clock_timestamp()" });
    return rows[0]?.[0] ?? undefined;
  };
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    try {
      const lock = `lock table ${tables} in access exclusive mode nowait`;
      return await underMigrationLock({ ...options, attempts: 1 }, (transaction) => add(transaction, lock));
    } catch (error) {
      if (!isLocked(error)) throw error;
      await clock.sleep(backoffMs(BRIEFLY, attempt));
    }
  }
  const lock = `lock table ${tables} in access exclusive mode`;
  return underMigrationLock({ ...options, lockTimeoutMs }, (transaction) => add(transaction, lock));
}

interface Look {
  readonly found: ForeignSchema;
  readonly revision: number;
  readonly plan: AdoptionPlan;
}

async function look(transaction: Executor, { schema, migrations = released }: ApplyOptions): Promise<Look> {
  const state = await readSchemaState(transaction, schema);
  if (state.revision > 0) checkState(state, schema, migrations.at(-1)?.id ?? 0);
  const found = await readForeignSchema(transaction, schema);
  const { revision } = state;
  return { found, revision, plan: planAdoption(found, { schema, migrations, revision }) };
}

/** Jobs that had failed before there was a trigger to say so. */
async function markExhausted(options: ApplyOptions): Promise<void> {
  const { schema, clock = systemClock, attempts = ATTEMPTS } = options;
  for (let idle = 0; ;) {
    const { isLeft, count } = await underMigrationLock(options, async (transaction) => {
      const { plan } = await look(transaction, options);
      const changed = await transaction.query({ text: plan.marking });
      const { rows } = await transaction.query({ text: plan.unmarked });
      return { count: changed.count, isLeft: rows[0]?.[0] === "t" };
    });
    if (!isLeft) return;
    idle = count > 0 ? 0 : idle + 1;
    // Others have the rest locked.
    if (idle >= attempts) throw schemaBusy(schema);
    if (idle > 0) await clock.sleep(backoffMs(RETRY, idle));
  }
}

async function buildIndexes(options: ApplyOptions): Promise<void> {
  const { driver, clock = systemClock, attempts = ATTEMPTS } = options;
  for (let failures = 0; ;) {
    const [step] = await underMigrationLock(
      options,
      async (transaction) => (await look(transaction, options)).plan.indexes,
    );
    if (!step) return;
    try {
      if (step.drop !== undefined) await driver.query({ text: step.drop, timeoutMs: STEP_TIMEOUT_MS });
      await driver.query({ text: step.create, timeoutMs: STEP_TIMEOUT_MS });
      failures = 0;
    } catch (error) {
      failures += 1;
      if (!isLocked(error) || failures >= attempts) throw error;
      await clock.sleep(backoffMs(RETRY, failures));
    }
  }
}

/**
 * How long a change of their tables waits for transactions that use them, and lets
 * others wait behind it; shorter than the time after which PostgreSQL looks for deadlocks.
 */
const LOCK_TIMEOUT_MS = 500;

const ATTEMPTS = 40;
const STEP_TIMEOUT_MS = 3_600_000;
const BRIEFLY = { firstMs: 10, maxMs: 100 };
const RETRY = { firstMs: 100, maxMs: 2_000 };
