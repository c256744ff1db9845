import { HowdahError } from "../errors.ts";
import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { cleanUpQueues, cleanUpTasks, deleteExhausted } from "../postgres/queries/ending/clean-up.ts";
import { isLocked } from "../postgres/sqlstate.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock } from "../runtime/clock.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { list, oneOf, required, string } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { Session } from "./session.ts";

/** Removes what is no longer needed. */
export interface CleanUp {
  /**
   * Removes jobs that failed for good, and the rows of tasks and queues that no
   * job uses; always in this order, so that each step makes room for the next,
   * and in small batches. Jobs that run and queues that are locked are left
   * alone. Removing tasks and queues needs a moment without an open transaction
   * that has added jobs; `HOWDAH_QUERY_TIMEOUT` when there is none for too long.
   */
  cleanup(tasks: readonly CleanUpTask[], options?: CleanUpOptions): Promise<CleanUpResult>;
}

/** What {@link CleanUp.cleanup} can remove. */
export type CleanUpTask = "permanentlyFailedJobs" | "unusedTasks" | "unusedQueues";

/** What {@link CleanUp.cleanup} spares. */
export interface CleanUpOptions {
  /**
   * Identifiers that stay although no job uses them. Name every task that some
   * worker runs: a worker knows tasks by their rows. Tasks that the client was
   * given always stay.
   */
  readonly keepTasks?: readonly string[] | undefined;
}

/** How many rows a clean-up removed, for each thing that was asked for. */
export type CleanUpResult = { readonly [Name in CleanUpTask]?: number };

/** The clean-up method on one session. */
export function createCleanUp(session: Session, ground: CleanUpGround): CleanUp {
  const target = { executor: session, schema: session.schema };
  return {
    async cleanup(tasks, options) {
      if (!Array.isArray(tasks))
        throw new HowdahError(
          "HOWDAH_OPTION_INVALID",
          `cleanup() takes a list of what to remove, out of ${NAMES.map((name) => `"${name}"`).join(", ")}; found ${describeValue(tasks)}.`,
        );
      const chosen = readOptions("cleanup", { tasks }, { tasks: list(required(oneOf(NAMES))) }).tasks;
      const { keepTasks } = readOptions("cleanup", options, {
        keepTasks: list(required(string({ maxLength: MAX_LENGTH.identifier }))),
      });
      const keep = [...new Set([...keepTasks, ...ground.keepTasks])];
      const steps = {
        permanentlyFailedJobs: () => deleteExhausted(target, BATCH_SIZE),
        unusedTasks: () => cleanUpTasks(target, keep, BATCH_SIZE),
        unusedQueues: () => cleanUpQueues(target, BATCH_SIZE),
      };
      const removed: Partial<Record<CleanUpTask, number>> = {};
      for (const name of NAMES) {
        if (chosen.includes(name)) removed[name] = await removeAll(steps[name], ground.clock);
      }
      return removed;
    },
  };
}

/** What cleaning up needs to know beside its session. */
export interface CleanUpGround {
  readonly clock: Clock;
  /** Identifiers that always stay. */
  readonly keepTasks: readonly string[];
}

const NAMES = ["permanentlyFailedJobs", "unusedTasks", "unusedQueues"] as const;

/** Rows that one statement removes: few, because adds wait for it. */
const BATCH_SIZE = 1_000;

/** How often to wait for the transactions that add jobs, a second each time. */
const ATTEMPTS = 10;

const RETRY = { firstMs: 50, maxMs: 1_000 };

/** Removes batch after batch until one is not full. */
async function removeAll(removeBatch: () => Promise<number>, clock: Clock): Promise<number> {
  let total = 0;
  for (;;) {
    const removed = await removePatiently(removeBatch, clock);
    total += removed;
    if (removed < BATCH_SIZE) return total;
  }
}

async function removePatiently(removeBatch: () => Promise<number>, clock: Clock): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await removeBatch();
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (attempt === ATTEMPTS)
        throw new HowdahError(
          "HOWDAH_QUERY_TIMEOUT",
          "Clean-up found no moment without an open transaction that has added jobs; try again later.",
          error,
        );
      await clock.sleep(backoffMs(RETRY, attempt));
    }
  }
}
