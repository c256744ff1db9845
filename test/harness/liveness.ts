import type { Contact, ContactAttempt } from "../../src/job/recover/contact.ts";
import { LivenessLoop, type LivenessLoopParts } from "../../src/job/recover/liveness-loop.ts";
import {
  RECOVERY,
  toRecoverySettings,
  type RecoveryOptions,
  type RecoverySettings,
} from "../../src/job/recover/options.ts";
import { Sweeper } from "../../src/job/recover/sweeper.ts";
import type { Driver, Query, QueryResult, Row } from "../../src/postgres/driver.ts";
import { readProcessMark } from "../../src/runtime/process-mark.ts";
import { readOptions } from "../../src/runtime/options.ts";
import { createManualClock } from "../../src/testing/manual-clock.ts";
import { workerContext } from "./worker-context.ts";

/** The options of recovery as its parts use them. */
function recoverySettings(options: RecoveryOptions = {}): RecoverySettings {
  const settings = toRecoverySettings(readOptions("worker", { recovery: options }, { recovery: RECOVERY }).recovery);
  if (!settings) throw new Error("recovery is on by default");
  return settings;
}

/** The ids in the first value of a statement. */
export function idsOf({ values = [] }: Pick<Query, "values">): string[] {
  return String(values[0]).replaceAll(/[{}"]/g, "").split(",");
}

/**
 * The liveness loop of a worker, with its sweeper, over a database in memory
 * that answers each statement with rows. `told` has what is reported, and the
 * names of what failed.
 */
export function setUpLoop(
  answer: (query: Query) => Promise<readonly Row[]> | readonly Row[],
  options?: RecoveryOptions,
) {
  const clock = createManualClock();
  const settings = recoverySettings(options);
  const told: string[] = [];
  const driver = {
    async query(query: Query): Promise<QueryResult> {
      const rows = await answer(query);
      return { rows, count: rows.length };
    },
  } as Driver;
  const context = workerContext({ clock, driver });
  const { identity, refusals, reporter, schema } = context;
  reporter.unrecovered = ({ id }) => void told.push(id);
  reporter.failure = (activity, error) => void told.push(`${activity}: ${String(error)}`);
  const sessionLock = { session: driver, isFirstSession: false, isMissing: false, shownLock: undefined };
  const way = { isRepeated: false };
  const contact: Pick<Contact, "reach"> = {
    reach: <T>(work: (attempt: ContactAttempt) => Promise<T>) =>
      work({ target: { executor: driver, schema, timeoutMs: 1_000 }, ...way }),
  };
  const sweeper = new Sweeper(context, { settings, sessionLock, mark: readProcessMark() });
  const watcher = { lose() {}, heartbeatAnswered() {} };
  const reports = { of: (id: string) => JSON.stringify({ id }) };
  const parts: LivenessLoopParts = { settings, process: "p", reports, contact, sessionLock, sweeper, watcher };
  return { clock, context, driver, identity, loop: new LivenessLoop(context, parts), parts, refusals, told, way };
}
