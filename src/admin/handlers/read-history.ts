import type { StoredFinishedJob, StoredPayload } from "../../client/operator-access.ts";
import { HowdahError } from "../../errors.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { maySee, type Principal } from "../principal.ts";
import { toAttemptView, toFinishedRow, toFinishedView, toJsonText, toLineView } from "../views/finished-view.ts";

type Names = "history" | "getFinishedJob" | "jobNotes";

/** The routes that read what is kept of jobs: finished ones, failed attempts, progress and logs. */
export function createHistoryReads({ access, client, clock, redaction }: AdminGround): Pick<Handlers, Names> {
  const now = (): string => new Date(clock.now()).toISOString();

  return {
    async history({ query, principal }) {
      const { jobs, next } = await client.history(query);
      const own = jobs.filter((job) => maySee(principal, job));
      const rows = own.map((job) => toFinishedRow(job, payloadOf(job.payload), redaction));
      return { asOf: now(), jobs: rows, next: next ?? null };
    },

    async getFinishedJob({ params: { id }, principal }) {
      const stored = visible(await access.getFinishedJob(id), principal, id);
      return { asOf: now(), job: toFinishedView(stored, redaction) };
    },

    async jobNotes({ params: { id }, principal }) {
      const stored: StoredPayload | StoredFinishedJob | undefined =
        (await access.getStoredJob(id)) ?? (await access.getFinishedJob(id));
      const { job, payload: stale } = visible(stored, principal, id);
      const payload = stale ?? undefined;
      const [attempts, lines] = await Promise.all([
        client.listAttempts(id, { limit: 100 }),
        client.listJobLogs(id, { limit: 500 }),
      ]);
      const progress = "progress" in job ? job.progress : undefined;
      return {
        asOf: now(),
        attempts: attempts.map((attempt) => toAttemptView(attempt, payload, redaction)),
        progress: progress
          ? { value: toJsonText(JSON.stringify(progress.value), payload, redaction), at: progress.at.toISOString() }
          : null,
        lines: lines.map((line) => toLineView(line, payload, redaction)),
      };
    },
  };
}

/** What someone may see. Throws `HOWDAH_JOB_UNKNOWN`. */
function visible<T extends StoredPayload | StoredFinishedJob>(stored: T | undefined, who: Principal, id: string): T {
  if (stored && maySee(who, stored.job)) return stored;
  throw new HowdahError("HOWDAH_JOB_UNKNOWN", `Job ${id} is neither there nor kept, or it is none of yours.`);
}

/** Nothing for one that is not kept, or nested too deep. */
function payloadOf(payload: unknown): string | undefined {
  try {
    return JSON.stringify(payload);
  } catch {
    return undefined;
  }
}
