import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { cleanUpQueues, cleanUpTasks, deleteExhausted } from "../postgres/queries/clean-up.ts";
import { list, oneOf, required, string } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { Session } from "./session.ts";

/** What {@link CleanUp.cleanup} can remove. */
export type CleanUpTask = "permanentlyFailedJobs" | "unusedTasks" | "unusedQueues";

/** What {@link CleanUp.cleanup} shall spare. */
export interface CleanUpOptions {
  /** Identifiers that stay although no job uses them. Tasks that the client was given always stay. */
  readonly keepTasks?: readonly string[];
}

/** How many rows a clean-up removed, for each thing that was asked for. */
export type CleanUpResult = { readonly [Name in CleanUpTask]?: number };

/** Removes what is no longer needed. */
export interface CleanUp {
  /**
   * Removes jobs that failed for good, and the rows of tasks and queues that no
   * job uses; always in this order, so that each step makes room for the next.
   * Jobs that run and queues that are locked are left alone.
   */
  cleanup(tasks: readonly CleanUpTask[], options?: CleanUpOptions): Promise<CleanUpResult>;
}

const NAMES = ["permanentlyFailedJobs", "unusedTasks", "unusedQueues"] as const;

/** The clean-up method on one session. */
export function createCleanUp(session: Session): CleanUp {
  const target = { executor: session, schema: session.schema };
  return {
    async cleanup(tasks, options) {
      const chosen = readOptions("cleanup", { tasks }, { tasks: list(required(oneOf(NAMES))) }).tasks;
      const { keepTasks } = readOptions("cleanup", options, {
        keepTasks: list(required(string({ maxLength: MAX_LENGTH.identifier }))),
      });
      const keep = [...new Set([...keepTasks, ...(session.tasks?.identifiers ?? [])])];
      const steps = {
        permanentlyFailedJobs: () => deleteExhausted(target),
        unusedTasks: () => cleanUpTasks(target, keep),
        unusedQueues: () => cleanUpQueues(target),
      };
      const removed: Partial<Record<CleanUpTask, number>> = {};
      for (const name of NAMES) {
        if (chosen.includes(name)) removed[name] = await steps[name]();
      }
      return removed;
    },
  };
}
