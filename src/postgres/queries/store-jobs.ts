import type { Executor, Query, Row } from "../driver.ts";
import { integerCell, readNumbers, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { JobArrays } from "./job-arrays.ts";
import type { JobToStore } from "./job-to-store.ts";
import { limited, patiently } from "./patience.ts";
import { isDelay, runTime } from "./run-times.ts";
import { storeUniqueJobs } from "./store-unique-jobs.ts";
import { newJob, NOTHING_STORED, readWholeJobs, type StoredJobs } from "./stored-jobs.ts";

/**
 * Stores jobs in one statement. Which one that is, depends on what is known of
 * them: a plain job needs the least work, one with a key the most.
 *
 *   kind      jobs                              statement
 *   single    without key, queue and flags      add_plain_job
 *             other, or awaited                 add_job
 *   bulk      none has a key or is awaited      add_new_jobs
 *             other                             add_jobs
 *   joined    none has a key                    add_new_jobs, with patience for triggers, too
 *   any       some have a rule                  add_unique_jobs
 *
 * What happens concurrently with other statements is told at the functions in
 * `000002-functions.sql` and at those of bulk adds.
 */
export function storeJobs(jobs: readonly JobToStore[], how: HowToStore): Promise<StoredJobs> {
  const [first] = jobs;
  if (first?.unique || (how.kind === "bulk" && jobs.some(({ unique }) => unique))) return storeUniqueJobs(jobs, how);
  if (how.kind === "single" && first) return isPlain(first) ? storePlainJob(first, how) : storeSingleJob(first, how);
  const isKeyed = how.kind === "bulk" && jobs.some(({ jobKey, awaited }) => jobKey !== null || awaited === true);
  return isKeyed ? storeKeyedJobs(jobs, how) : storeNewJobs(jobs, how);
}

/** Where and how jobs are stored. */
export interface HowToStore {
  readonly executor: Executor;
  readonly schema: Schema;
  /**
   * `single`: one job; one that a trigger drops has no answer. `bulk`: all of
   * them or none, rejected with HWDRP when a trigger drops one. `joined`: adds of
   * several callers, all of them or none: none may have a key, and the statement
   * is rejected with 55P03 or HWALN when one of them would suffer for another.
   */
  readonly kind: "single" | "bulk" | "joined";
  /** Whether the statement itself notifies the workers, when its transaction commits; otherwise the caller does, afterwards. */
  readonly notifies: boolean;
  /** How long the statement waits for locks of others, see `patience.ts`; without it, as long as it may take. */
  readonly patienceMs?: number | undefined;
}

function isPlain({ jobKey, queueName, flags, awaited }: JobToStore): boolean {
  return jobKey === null && queueName === null && flags === null && awaited !== true;
}

async function storePlainJob(job: JobToStore, how: HowToStore): Promise<StoredJobs> {
  const { executor, schema, notifies, patienceMs } = how;
  const { identifier, payload, runAt, maxAttempts, priority, timeoutMs } = job;
  const values = [
    identifier,
    payload,
    runAt,
    integerCell(maxAttempts),
    integerCell(priority),
    integerCell(timeoutMs),
    String(notifies),
  ];
  if (patienceMs !== undefined) values.push(String(patienceMs));
  const first =
    patienceMs === undefined ? "$1::pg_catalog.text" : limited("$1::pg_catalog.text", "$8::pg_catalog.text");
  const runs = runTime("$3", {
    delayed: isDelay(runAt),
    name: patienceMs === undefined ? "add_plain_job" : "add_plain_job_patiently",
  });
  const { rows } = await executor.query({
    name: runs.name,
    text: `select ${schema.of("_howdah_add_plain_job_v1")}(${first}, $2::pg_catalog.json, ${runs.expression},
  $4::pg_catalog.int4, $5::pg_catalog.int4, $6::pg_catalog.int4, $7::pg_catalog.bool)`,
    values,
  });
  const answer = rows[0]?.[0];
  const whole = answer?.startsWith("[") === true ? readWholeJobs(answer) : undefined;
  if (whole) return whole;
  const [id, runAtUs, createdAt, isDue, queueId] = readNumbers(answer);
  return newJob({ id, runAt: runAtUs, createdAt, queueId, isDue: isDue === "1" });
}

async function storeSingleJob(job: JobToStore, how: HowToStore): Promise<StoredJobs> {
  const { executor, schema, notifies } = how;
  const us = schema.of("_howdah_us");
  const values = [
    job.identifier,
    job.payload,
    job.queueName,
    job.runAt,
    integerCell(job.maxAttempts),
    job.jobKey,
    integerCell(job.priority),
    job.flags === null ? null : textArray(job.flags),
    job.jobKeyMode,
    integerCell(job.timeoutMs),
    String(notifies),
  ];
  // As the function decides itself whether to notify.
  const isDueNow = `job.run_at operator(pg_catalog.<=) (pg_catalog.now() operator(pg_catalog.+) interval '2 seconds')`;
  const runs = runTime("$4", {
    delayed: isDelay(job.runAt),
    name: job.awaited === true ? "add_awaited_job" : "add_job",
  });
  const awaited = job.awaited === true ? `,\n  ${schema.of("_howdah_mark_awaited_v1")}(array[job.id])` : "";
  // $1 identifier     $2 payload   $3 queue name   $4 run at   $5 max attempts
  // $6 key            $7 priority  $8 flags        $9 key mode $10 timeout   $11 notifies
  const text = `select job.id, ${us}(job.run_at), ${us}(job.created_at), job.flags, job.job_queue_id, ${isDueNow},
  case when job.is_changed then ${schema.of("_howdah_stored_jobs_v1")}(array[job.id], array[$2::pg_catalog.json]) end${awaited}
from ${schema.of("_howdah_add_job_v1")}(
  $1::pg_catalog.text, $2::pg_catalog.json, $3::pg_catalog.text, ${runs.expression}, $5::pg_catalog.int4,
  $6::pg_catalog.text, $7::pg_catalog.int4, $8::pg_catalog.text[], $9::pg_catalog.text, $11::pg_catalog.bool,
  $10::pg_catalog.int4
) as job`;
  const { rows } = await executor.query(limitedTo(how, { name: runs.name, text, values }));
  const [id, runAt, createdAt, flags, queueId, isDue, json] = rows[0] ?? [];
  const whole = readWholeJobs(json);
  if (!whole) return newJob({ id, runAt, createdAt, flags, queueId, isDue: isDue === "t" });
  // One that was found by its key and left as it was is no news.
  const isLeft = job.jobKeyMode === "unsafe_dedupe" && whole.at(0)?.whole?.revision !== 0;
  return isLeft ? { at: whole.at, due: undefined } : whole;
}

/** The answer has the payload of a job only where it is another one than was given. */
async function storeKeyedJobs(jobs: readonly JobToStore[], how: HowToStore): Promise<StoredJobs> {
  const { executor, schema, notifies } = how;
  const arrays = new JobArrays(jobs);
  const { isAwaited } = arrays;
  const name = `add${isAwaited ? "_awaited" : ""}_jobs${notifies ? "" : "_silently"}`;
  const runs = arrays.runTimes("$4", name);
  // $1 identifiers   $2 payloads    $3 queue names   $4 run ats   $5 max attempts
  // $6 keys          $7 priorities  $8 flag sets     $9 key modes  $10 timeouts    $11 which are awaited
  const add = `${schema.of("_howdah_add_job_ids_v1")}(
  $1::pg_catalog.text[], $2::pg_catalog.json[], $3::pg_catalog.text[], ${runs.expression},
  $5::pg_catalog.int4[], $6::pg_catalog.text[], $7::pg_catalog.int4[], $8::pg_catalog.jsonb[], $9::pg_catalog.text[],
  ${notifies}, $10::pg_catalog.int4[]
)`;
  const ids = isAwaited ? `${schema.of("_howdah_mark_awaited_v1")}(${add}, $11::pg_catalog.bool[])` : add;
  const text = `select ${schema.of("_howdah_stored_jobs_v1")}(${ids}, $2::pg_catalog.json[])`;
  const query = { name: runs.name, text, values: isAwaited ? [...arrays.keyed, arrays.awaited] : arrays.keyed };
  const { rows } = await executor.query(limitedTo(how, query));
  return readWholeJobs(rows[0]?.[0]) ?? NOTHING_STORED;
}

async function storeNewJobs(jobs: readonly JobToStore[], how: HowToStore): Promise<StoredJobs> {
  const { executor, schema, kind, notifies, patienceMs } = how;
  const isJoined = kind === "joined";
  const arrays = new JobArrays(jobs);
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
    isJoined && patienceMs !== undefined ? String(patienceMs) : null,
  ];
  const runs = arrays.runTimes("$4", "add_new_jobs");
  // $1 identifiers   $2 payloads     $3 queue names   $4 run ats    $5 max attempts
  // $6 priorities    $7 flag sets    $8 timeouts      $9 notifies   $10 patience
  const add = schema.of("_howdah_add_jobs_without_keys_v2");
  const text = `select * from ${add}(
  $1::pg_catalog.text[], $2::pg_catalog.json[], $3::pg_catalog.text[], ${runs.expression},
  $5::pg_catalog.int4[], $6::pg_catalog.int4[], $7::pg_catalog.jsonb[], $8::pg_catalog.int4[], $9::pg_catalog.bool,
  $10::pg_catalog.int4, false
)`;
  const query = { name: runs.name, text, values };
  const { rows } = await executor.query(isJoined ? query : limitedTo(how, query));
  return readNewJobs(rows[0] ?? []);
}

function readNewJobs([ids, createdAt, runTimes, flagSets, dueCount, dueAt, dueQueueIds, stored]: Row): StoredJobs {
  const [allIds, times, whole] = [readNumbers(ids), readNumbers(runTimes), readWholeJobs(stored)];
  const flags = flagSets == null ? [] : (JSON.parse(flagSets) as readonly unknown[]);
  const count = Number(dueCount);
  return {
    at(index) {
      if (whole) return whole.at(index);
      const id = allIds[index];
      if (id == null || createdAt == null) return undefined;
      const flagsOf = flags[index];
      return {
        id,
        runAt: times[index] ?? createdAt,
        createdAt,
        flags: flagsOf == null ? null : JSON.stringify(flagsOf),
      };
    },
    get due() {
      if (count === 0) return undefined;
      return { count, at: String(dueAt), queueIds: [...new Set(readNumbers(dueQueueIds).map(Number))] };
    },
  };
}

function limitedTo({ patienceMs }: HowToStore, query: Query): Query {
  return patienceMs === undefined ? query : patiently(query, patienceMs);
}
