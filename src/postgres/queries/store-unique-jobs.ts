import type { Executor } from "../driver.ts";
import { readNumbers } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { JobArrays } from "./job-arrays.ts";
import type { JobToStore } from "./job-to-store.ts";
import { patiently } from "./patience.ts";
import { readWholeJobs, type StoredJob, type StoredJobs } from "./stored-jobs.ts";

/**
 * Stores jobs of which some have a rule for when their key is taken: all that the
 * rules let in, or none. Each has an answer with its outcome. When one of them is
 * rejected, nothing is stored.
 */
export async function storeUniqueJobs(jobs: readonly JobToStore[], how: HowToStoreUnique): Promise<StoredJobs> {
  const { executor, schema, notifies, patienceMs } = how;
  const arrays = new JobArrays(jobs);
  const { isAwaited } = arrays;
  const runs = arrays.runTimes("$4", `add_unique_${isAwaited ? "awaited_" : ""}jobs`);
  const awaited = isAwaited ? `,\n  ${schema.of("_howdah_mark_awaited_v1")}(added.ids, $13::pg_catalog.bool[])` : "";
  const rules = JSON.stringify(jobs.map(({ unique }) => unique ?? null));
  // $1 identifiers   $2 payloads    $3 queue names   $4 run ats    $5 max attempts   $6 keys
  // $7 priorities    $8 flag sets   $9 key modes     $10 timeouts  $11 rules         $12 notifies
  // $13 which are awaited
  const text = `select added.ids, added.outcomes, added.times, added.due_count, added.due_at, added.due_queue_ids,
  ${schema.of("_howdah_stored_jobs_v1")}(added.ids)${awaited}
from ${schema.of("_howdah_add_unique_jobs_v1")}(
  $1::pg_catalog.text[], $2::pg_catalog.json[], $3::pg_catalog.text[], ${runs.expression},
  $5::pg_catalog.int4[], $6::pg_catalog.text[], $7::pg_catalog.int4[], $8::pg_catalog.jsonb[], $9::pg_catalog.text[],
  $10::pg_catalog.int4[], $11::pg_catalog.json, $12::pg_catalog.bool
) as added`;
  const query = {
    name: runs.name,
    text,
    values: [...arrays.keyed, rules, String(notifies), ...(isAwaited ? [arrays.awaited] : [])],
  };
  const { rows } = await executor.query(patienceMs === undefined ? query : patiently(query, patienceMs));
  const [ids, outcomes, times, dueCount, dueAt, dueQueueIds, stored] = rows[0] ?? [];
  const byId = new Map<string, StoredJob>();
  const whole = readWholeJobs(stored);
  for (let place = 0, job = whole?.at(0); job; place += 1, job = whole?.at(place)) byId.set(job.id, job);
  const answer = { ids: readNumbers(ids), outcomes: readNumbers(outcomes), times: readNumbers(times) };
  const count = Number(dueCount);
  const queueIds = [...new Set(readNumbers(dueQueueIds).map(Number))];
  return {
    at(index) {
      const id = answer.ids[index] ?? "";
      const outcome = answer.outcomes[index] as StoredJob["outcome"];
      if (outcome === undefined) return undefined;
      // What has ended is known by its id, and by when it was added.
      const at = answer.times[index] ?? "0";
      return { ...(byId.get(id) ?? { id, runAt: at, createdAt: at, flags: null }), outcome };
    },
    due: count === 0 ? undefined : { count, at: String(dueAt), queueIds },
  };
}

/** Where and how jobs are stored of which some have a rule. */
export interface HowToStoreUnique {
  readonly executor: Executor;
  readonly schema: Schema;
  /** Whether the statement itself notifies the workers, when its transaction commits; otherwise the caller does, afterwards. */
  readonly notifies: boolean;
  /** How long the statement waits for locks of others, see `patience.ts`; without it, as long as it may take. */
  readonly patienceMs?: number | undefined;
}
