import type { WorkerInfo } from "../../client/workers.ts";
import type { WorkerView } from "../contract/worker-views.ts";
import { maySee, maySeeTask, type Principal } from "../principal.ts";

/** A worker as someone may see it: of its tasks and jobs those that they may see. */
export function toWorkerView(worker: WorkerInfo, principal: Principal): WorkerView {
  const { id, startedAt, lastHeartbeatAt, session, isStale, report } = worker;
  return {
    id,
    startedAt: startedAt.toISOString(),
    lastHeartbeatAt: lastHeartbeatAt.toISOString(),
    session,
    isStale,
    report: report && toReportView(report, principal),
  };
}

function toReportView(report: NonNullable<WorkerInfo["report"]>, principal: Principal): WorkerView["report"] {
  const { version, host, pid, slots, busy, cached, localQueueSize, unwritten, locked, moreTasks, moreRunning } = report;
  const tasks = report.tasks.filter((task) => maySeeTask(principal, task));
  const running = report.running.filter((job) => maySee(principal, job));
  return {
    version,
    host,
    pid,
    runsSince: report.runsSince.toISOString(),
    slots,
    busy,
    cached,
    localQueueSize,
    detached: report.leftBehind,
    unwritten,
    locked,
    tasks,
    moreTasks: moreTasks + report.tasks.length - tasks.length,
    forbiddenFlags: [...report.forbiddenFlags],
    running: running.map((job) => ({ ...job, since: job.since.toISOString() })),
    moreRunning: moreRunning + report.running.length - running.length,
    claims: { ...report.claims, failingSince: report.claims.failingSince?.toISOString() ?? null },
    isRetired: report.isRetired,
    isStopping: report.isStopping,
  };
}
