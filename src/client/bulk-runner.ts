import { HowdahError } from "../errors.ts";
import type { Driver, Executor } from "../postgres/driver.ts";
import { type Way, waysById } from "../postgres/queries/job-pages.ts";
import { listJobIds } from "../postgres/queries/list-jobs.ts";
import {
  advanceOperation,
  applyOperation,
  getOperation,
  lockMatching,
  type OperationRecord,
  type OperationStep,
} from "../postgres/queries/operations.ts";
import type { JobSelection } from "../postgres/queries/job-selection.ts";
import type { Schema } from "../postgres/schema.ts";
import { isLocked, isTransient } from "../postgres/sqlstate.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock } from "../runtime/clock.ts";

/**
 * Carries out stored operations, batch by batch. A batch is one transaction: it
 * locks the row of the operation, finds the next jobs by id, changes them and
 * stores how far it came.
 *
 *   another process carries out      the batches take turns; each continues
 *     the same operation               where the one before it ended
 *   the process is killed, or the    nothing of the batch has happened; the next
 *     connection lost before the       one begins at the same place
 *     commit
 *   the answer of the commit is lost the row says how far it came
 *   a worker claims or releases      the first to lock the job's row; jobs are
 *     a job at the same moment         asked again whether they pass the filter
 *   a transaction holds a job        it is waited for, 2 s; then this batch steps
 *     for long                         over the jobs that are held
 *   it is paused or stopped          after the batch that is under way
 */
export class BulkRunner {
  readonly #driver: Pick<Driver, "transaction">;
  readonly #schema: Schema;
  readonly #clock: Clock;

  constructor({ driver, schema, clock }: BulkGround) {
    this.#driver = driver;
    this.#schema = schema;
    this.#clock = clock;
  }

  /** Carries out an operation until it ends, or is paused or stopped, by whomever. */
  async run(id: string, told?: (operation: OperationRecord) => void): Promise<OperationRecord> {
    let failures = 0;
    let stepOver = false;
    for (;;) {
      let operation: OperationRecord;
      try {
        operation = await this.#driver.transaction((transaction) => this.#batch(transaction, id, stepOver));
      } catch (error) {
        failures += 1;
        if (failures === ATTEMPTS || !(isLocked(error) || isTransient(error))) throw error;
        stepOver = isLocked(error);
        await this.#clock.sleep(backoffMs(RETRY, failures));
        continue;
      }
      failures = 0;
      stepOver = false;
      told?.(operation);
      if (operation.state !== "running") return operation;
    }
  }

  async #batch(executor: Executor, id: string, stepOver: boolean): Promise<OperationRecord> {
    await executor.query({ text: SETTINGS });
    const target = { executor, schema: this.#schema };
    const operation = await getOperation(target, id, "for update");
    if (!operation) throw unknownOperation(id);
    if (operation.state !== "running") return operation;
    const filter = filterOf(operation);
    const ways = waysOfOperation(operation);
    const page = {
      way: ways[operation.way] ?? "id",
      after: { priority: 0, runAt: "0", id: operation.afterId },
      newestId: operation.newestId,
      isBackward: false,
      limit: BATCH_SIZE,
    };
    const { ids, nextAfter } = await listJobIds(target, filter, page);
    // A job that begins to run after it was found is cancelled all the same.
    const { state, ...lasting } = filter;
    const asked = operation.action === "cancel" ? lasting : { ...lasting, state };
    const locked = ids.length === 0 ? [] : await lockMatching(target, ids, { filter: asked, stepOver });
    const done = await applyOperation(target, operation, locked);
    return advanceOperation(target, id, {
      ...placeAfter(operation, nextAfter, ways.length),
      ...done,
      matched: ids.length,
    });
  }
}

/** What a runner stands on. */
export interface BulkGround {
  readonly driver: Pick<Driver, "transaction">;
  readonly schema: Schema;
  readonly clock: Clock;
}

/** The filter with what the action adds to it: a job that runs cannot be changed, only cancelled. */
export function filterOf({ action, filter }: Pick<OperationRecord, "action" | "filter">): JobSelection {
  if (action === "retry") return { ...filter, state: "failed" };
  if (action === "cancel") return { ...filter, isOpen: true };
  if (action === "fail") return { ...filter, isOpen: true, isIdle: true };
  return { ...filter, isIdle: true };
}

/** A job that goes from the waiting ones to the failed ones, or back, by the change itself is met on one way only. */
function waysOfOperation(operation: OperationRecord): readonly Way[] {
  const ways = waysById(filterOf(operation));
  const { attempts = null, maxAttempts = null } = operation.change.reschedule ?? {};
  return ways.length > 1 && (attempts ?? maxAttempts) !== null ? ["id"] : ways;
}

/** The error for an id that no operation has. */
export function unknownOperation(id: string): HowdahError {
  return new HowdahError(
    "HOWDAH_OPERATION_UNKNOWN",
    `There is no operation ${id}: its id is wrong, or it ended more than 30 days ago. See client.operations.list().`,
  );
}

/** The jobs that one batch changes: few, because their rows are locked until it commits. */
const BATCH_SIZE = 500;

/** How often one batch is tried. */
const ATTEMPTS = 5;

const RETRY = { firstMs: 100, maxMs: 1_000 };

const SETTINGS = `set local lock_timeout = '2s';
set local enable_seqscan = off;
set local enable_bitmapscan = off;
set local jit = off`;

function placeAfter(
  { way }: OperationRecord,
  nextAfter: string | undefined,
  ways: number,
): Pick<OperationStep, "way" | "afterId" | "state"> {
  if (nextAfter !== undefined) return { way, afterId: nextAfter, state: "running" };
  return { way: way + 1, afterId: "0", state: way + 1 < ways ? "running" : "done" };
}
