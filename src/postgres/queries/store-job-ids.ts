import type { Query } from "../driver.ts";
import { readNumbers } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { JobArrays } from "./job-arrays.ts";
import type { JobToStore } from "./job-to-store.ts";
import { patiently } from "./patience.ts";
import type { HowToStore } from "./store-jobs.ts";
import type { DueJobs } from "./stored-jobs.ts";

/**
 * Stores all jobs or none, in one statement, and answers their ids only: the
 * rows are not read back. Keys, triggers and locks of others have the same
 * effect as in `storeJobs` with the kind `bulk`.
 */
export async function storeJobIds(jobs: readonly JobToStore[], how: HowToStoreIds): Promise<StoredJobIds> {
  const { executor, patienceMs } = how;
  const arrays = new JobArrays(jobs);
  const isKeyed = jobs.some(({ jobKey }) => jobKey !== null);
  const query = isKeyed ? keyedJobIds(arrays, how) : newJobIds(arrays, how);
  const { rows } = await executor.query(patienceMs === undefined ? query : patiently(query, patienceMs));
  const [ids, dueCount, dueAt, dueQueueIds] = rows[0] ?? [];
  const count = Number(dueCount);
  const queueIds = [...new Set(readNumbers(dueQueueIds).map(Number))];
  return {
    ids: readNumbers(ids) as string[],
    due: count === 0 ? undefined : { count, at: String(dueAt), queueIds },
  };
}

/** Where and how jobs are stored of which only the ids are answered. */
export type HowToStoreIds = Omit<HowToStore, "kind">;

/** What a statement has stored. */
export interface StoredJobIds {
  /** The id of each job, in the order in which they were given; with a key, of the job that has it now. */
  readonly ids: readonly string[];
  /** What the workers are notified of, unless the statement has done that; `undefined` when nothing is due. */
  readonly due: DueJobs | undefined;
}

function newJobIds(arrays: JobArrays, { schema, notifies }: HowToStoreIds): Query {
  const { isAwaited } = arrays;
  const values = [
    arrays.distinctIdentifiers,
    arrays.payloads,
    arrays.queueNames,
    arrays.runAts,
    arrays.maxAttempts,
    arrays.priorities,
    arrays.flagSets,
    arrays.timeouts,
    String(notifies),
    ...(isAwaited ? [arrays.awaited] : []),
  ];
  const runs = arrays.runTimes("$4", `add_new_${isAwaited ? "awaited_" : ""}job_ids`);
  // $1 identifiers   $2 payloads     $3 queue names   $4 run ats    $5 max attempts
  // $6 priorities    $7 flag sets    $8 timeouts      $9 notifies
  const marked = isAwaited ? marking(schema, "$10") : "";
  const text = `select ids, due_count, due_at, due_queue_ids${marked} from ${schema.of("_howdah_add_jobs_without_keys_v2")}(
  $1::pg_catalog.text[], $2::pg_catalog.json[], $3::pg_catalog.text[], ${runs.expression},
  $5::pg_catalog.int4[], $6::pg_catalog.int4[], $7::pg_catalog.jsonb[], $8::pg_catalog.int4[], $9::pg_catalog.bool,
  null, true
)`;
  return { name: runs.name, text, values };
}

function keyedJobIds(arrays: JobArrays, { schema, notifies }: HowToStoreIds): Query {
  const { isAwaited } = arrays;
  const values = [...arrays.keyed, String(notifies), ...(isAwaited ? [arrays.awaited] : [])];
  const runs = arrays.runTimes("$4", `add_keyed_${isAwaited ? "awaited_" : ""}job_ids`);
  // $1 identifiers   $2 payloads    $3 queue names   $4 run ats    $5 max attempts   $6 keys
  // $7 priorities    $8 flag sets   $9 key modes     $10 timeouts  $11 notifies
  const marked = isAwaited ? marking(schema, "$12") : "";
  const text = `select ids, due_count, due_at, due_queue_ids${marked} from ${schema.of("_howdah_add_keyed_job_ids_v1")}(
  $1::pg_catalog.text[], $2::pg_catalog.json[], $3::pg_catalog.text[], ${runs.expression},
  $5::pg_catalog.int4[], $6::pg_catalog.text[], $7::pg_catalog.int4[], $8::pg_catalog.jsonb[], $9::pg_catalog.text[],
  $10::pg_catalog.int4[], $11::pg_catalog.bool
)`;
  return { name: runs.name, text, values };
}

/** A column that notes which of the ids are awaited, once they are stored. */
function marking(schema: Schema, parameter: string): string {
  return `, ${schema.of("_howdah_mark_awaited_v1")}(ids, ${parameter}::pg_catalog.bool[])`;
}
