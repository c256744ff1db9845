import type { JobLogLine } from "../job/job.ts";
import { toDate } from "../job/row.ts";
import { type LineRecord, listJobLogs } from "../postgres/queries/job-notes.ts";
import { integer } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { checkJobId } from "./job-ids.ts";
import type { Session } from "./session.ts";

/** Reads the logs of jobs. */
export interface JobLogs {
  /**
   * The newest lines that handlers of the job with this id have logged with
   * `context.log`, in the order of time: of tasks with `logs`, for as long as the
   * job is there. Empty for a job that has none, and for one that is gone.
   */
  listJobLogs(id: string, options?: JobLogListOptions): Promise<JobLogLine[]>;
}

/** Which lines {@link JobLogs.listJobLogs} returns. */
export interface JobLogListOptions {
  /** 1 to 10000. Default 1000. */
  readonly limit?: number | undefined;
}

/** The reading method on one session. */
export function createJobLogs(session: Session): JobLogs {
  const target = { executor: session, schema: session.schema };
  return {
    async listJobLogs(id, options) {
      const { limit } = readOptions("listJobLogs", options, {
        limit: integer({ min: 1, max: 10_000, default: 1_000 }),
      });
      return (await listJobLogs(target, checkJobId(id), limit)).map(toLine);
    },
  };
}

function toLine({ at, attempt, message, fields }: LineRecord): JobLogLine {
  return { at: toDate(at), attempt, message, fields: fields === null ? null : JSON.parse(fields) };
}
