import type { AuditEntry, JobSelection, StoredOperation } from "../../client/operator-access.ts";
import type { OperationView } from "../contract/bulk-views.ts";
import type { JobFilterView } from "../contract/job-views.ts";
import type { AdminGround } from "../ground.ts";
import type { Principal } from "../principal.ts";

/** An operation with who began it. */
export function toOperationView(
  operation: StoredOperation,
  entry: AuditEntry | undefined,
  { clock, redaction, runs }: Pick<AdminGround, "clock" | "redaction" | "runs">,
): OperationView {
  const { id, action, state, filter, matched, changed, signalled, createdAt, updatedAt } = operation;
  const expected = entry?.target["expected"];
  const isOld = clock.now() - updatedAt.getTime() > STALLED_MS;
  return {
    id,
    action,
    state,
    isStalled: state === "running" && isOld && !runs.isRunning(id),
    filter: toFilterView(filter, redaction),
    expected: typeof expected === "number" ? expected : null,
    matched,
    changed,
    signalled,
    undo: null,
    who: entry?.who ?? null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

/** Whether an operation changes only what someone may see. */
export function maySeeOperation({ tasks, queues }: Principal, { filter }: StoredOperation): boolean {
  const ofTasks = filter.task === undefined ? filter.tasks : [filter.task];
  const ofQueues = filter.queueName === undefined ? filter.queueNames : [filter.queueName];
  const isWithin = <T>(own: readonly T[] | undefined, asked: readonly T[] | undefined): boolean =>
    own === undefined || asked?.every((name) => own.includes(name)) === true;
  return isWithin(tasks, ofTasks) && isWithin(queues, ofQueues);
}

/** A batch takes less. */
const STALLED_MS = 30_000;

function toFilterView(filter: JobSelection, redaction: AdminGround["redaction"]): JobFilterView {
  const { state, task, queueName, jobKey, workerId, priority, error, payload } = filter;
  const names = ["since", "until", "failedSince", "failedUntil"] as const;
  const times = names.map((name) => [name, toTime(filter[name])] as const);
  const parts = {
    state,
    task,
    queueName,
    jobKey,
    workerId,
    priority,
    error,
    payload: payload && redaction.payload(payload).text,
  };
  return Object.fromEntries([...Object.entries(parts), ...times].filter(([, value]) => value !== undefined));
}

function toTime(stored: string | undefined): string | undefined {
  if (stored === undefined || Number.isNaN(Date.parse(stored))) return undefined;
  return new Date(stored).toISOString();
}
