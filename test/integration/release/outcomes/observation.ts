import type { TestDatabase } from "../../../harness/database.ts";

/** The delays of the cases, which tell in the row what has moved it. */
export const RETRY_DELAY = "1h";
export const SNOOZE_DELAY = "10h";
export const INTERRUPTED_DELAY = "20h";
export const RECOVERY_DELAY = "100h";

const DELAYS: readonly (readonly [minHours: number, maxHours: number, name: string])[] = [
  [-Infinity, 0, "at once"],
  [0, 0.01, "after some seconds"],
  [0.9, 1, "after the retry delay"],
  [9.9, 10, "after its delay"],
  [19.9, 20, "after `interruptedJobRetryDelay`"],
  [49, 100, "after `recoveryDelay`"],
];

/** What is left of a job when it has ended, in words. */
export interface Observation {
  readonly row: string;
  readonly attempt: string;
  readonly runsAgain: string;
  readonly lastError: string;
  /** The events of this job, in order, without `jobFetch`. */
  readonly hooks: string;
  /** `undefined` when it had none. */
  readonly queue: string | undefined;
}

/** The stored side of an {@link Observation}. */
export async function observeRow(
  database: TestDatabase,
  { id, payload, queueName }: { readonly id: string; readonly payload: unknown; readonly queueName: string | null },
): Promise<Omit<Observation, "hooks">> {
  const [job] = await database.sql(
    `select job.attempts, job.max_attempts, job.last_error, job.locked_at is not null as locked, job.payload,
       extract(epoch from job.run_at - clock_timestamp())::float8 / 3600 as hours
     from howdah._private_jobs as job where job.id = $1`,
    [id],
  );
  const queue = queueName === null ? undefined : await observeQueue(database, queueName);
  if (!job) return { row: "deleted", attempt: "–", runsAgain: "–", lastError: "–", queue };
  const {
    attempts,
    max_attempts: most,
    locked,
    hours,
  } = job as Record<"attempts" | "max_attempts" | "hours", number> & {
    locked: boolean;
  };
  const isFailed = attempts >= most;
  const state = locked ? "locked" : isFailed ? "failed" : "waits";
  const [added, kept] = [payload, job["payload"]].map((value) => JSON.stringify(value));
  return {
    row: added === kept ? state : `${state}, payload now \`${kept}\``,
    attempt: isFailed ? "used up" : attempts === 0 ? "refunded" : "counts",
    runsAgain: isFailed || locked ? "–" : nameDelay(hours),
    lastError: shorten(job["last_error"] as string | null),
    queue,
  };
}

async function observeQueue(database: TestDatabase, queueName: string): Promise<string> {
  const [queue] = await database.sql(
    "select locked_at is not null as locked from howdah._private_job_queues where queue_name = $1",
    [queueName],
  );
  return queue?.["locked"] ? "locked" : "free";
}

function nameDelay(hours: number): string {
  return DELAYS.find(([min, max]) => hours > min && hours <= max)?.[2] ?? `after ${hours} hours`;
}

const LONGEST = 64;

function shorten(error: string | null): string {
  if (error === null) return "–";
  const plain = error.replace(/^Job \d+ of task \w+/, "Job … of task …").replaceAll("|", "\\|");
  return plain.length > LONGEST ? `${plain.slice(0, plain.lastIndexOf(" ", LONGEST))} …` : plain;
}
