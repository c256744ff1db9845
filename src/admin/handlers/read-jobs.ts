import { HowdahError } from "../../errors.ts";
import type { StoredPayload } from "../../client/operator-access.ts";
import type { JobFilter } from "../../client/job-filter.ts";
import { quotedLine } from "../../client/why/job-reasons.ts";
import type { JobFilterView, WhyAnswer } from "../contract/job-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { forbidden, isLimited, maySee, type Principal, scopeOf } from "../principal.ts";
import { RequestError } from "../problem.ts";
import { firstLine, toJobRow, toJobView } from "../views/job-view.ts";

/** The routes that read jobs. */
export function createJobReads(ground: AdminGround): Pick<Handlers, "listJobs" | "getJob" | "explainJob" | "errors"> {
  const { access, client, clock, facts, redaction } = ground;
  const now = (): string => new Date(clock.now()).toISOString();

  return {
    async listJobs({ query, principal }) {
      const { backward = false, after, limit, ...filter } = query;
      const [list, pauses] = await Promise.all([
        access.listJobs(toJobFilter(filter, ground), scopeOf(principal), {
          isBackward: backward,
          after,
          limit,
          withPayloads: redaction.hasPaths,
        }),
        facts.pauses.get(),
      ]);
      const jobs = list.jobs.map((job) => toJobRow(job, pauses.value, ground));
      return { asOf: now(), jobs, next: list.next ?? null, searched: list.searched ?? null };
    },

    async getJob({ params, principal }) {
      const [stored, pauses] = await Promise.all([visibleJob(access, principal, params.id), facts.pauses.get()]);
      return { asOf: now(), job: toJobView(stored, pauses.value, ground) };
    },

    async explainJob({ params: { id }, principal }) {
      const stored = await access.getStoredJob(id);
      if (isLimited(principal) && !(stored && maySee(principal, stored.job))) throw unknownJob(id);
      const { asOf, reasons } = await client.explainJob(id);
      const shown = await Promise.all(
        reasons.map((reason) => limited(toReasonView(reason), { ground, principal, id })),
      );
      const told = shown.map((reason) => ({
        ...reason,
        message: stored ? redactedMessage(reason.message, stored, redaction) : reason.message,
      }));
      return { asOf: asOf.toISOString(), id, reasons: told };
    },

    async errors({ query: { limit, ...filter }, principal }) {
      const { errors, searchedTo } = await access.listErrors(filter, scopeOf(principal), limit);
      const shown = [];
      for (const { message, jobCount, oldestAt, newestId, newestAt, tasks, byTask } of errors) {
        shown.push({
          message: await toShownError(ground, message, newestId),
          jobCount: { ...jobCount, asOf: jobCount.asOf.toISOString() },
          oldestAt: oldestAt.toISOString(),
          newestId,
          newestAt: newestAt.toISOString(),
          tasks: [...tasks],
          byTask: byTask.map((group) => ({ ...group })),
        });
      }
      return { asOf: now(), errors: shown, searchedTo };
    },
  };
}

/** The job with this id, if someone may see it. Throws `HOWDAH_JOB_UNKNOWN`. */
export async function visibleJob(
  access: AdminGround["access"],
  principal: Principal,
  id: string,
): Promise<StoredPayload> {
  const stored = await access.getStoredJob(id);
  if (stored && maySee(principal, stored.job)) return stored;
  throw unknownJob(id);
}

/** A filter of a request as the client takes it. Throws for a payload that is no JSON, or that must not be asked for. */
export function toJobFilter(
  { payload, ...filter }: JobFilterView,
  { redaction }: Pick<AdminGround, "redaction">,
): JobFilter {
  if (payload === undefined) return filter;
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    throw new RequestError("The payload of a filter must be JSON.", [{ path: "payload", message: "must be JSON" }]);
  }
  if (redaction.touches(payload)) throw forbidden("This part of payloads is redacted, so jobs cannot be found by it.");
  return { ...filter, payload: value };
}

/** The values that must not be seen in an error are those of its job, and may reach beyond its first line. */
async function toShownError({ access, redaction }: AdminGround, message: string, jobId: string): Promise<string> {
  if (!redaction.isOn || message === "") return message;
  const stored = await access.getStoredJob(jobId);
  const error = stored?.job.lastError?.startsWith(message) ? stored.job.lastError : undefined;
  return stored && error !== undefined ? firstLine(redaction.textOf(error, stored.payload)) : GONE;
}

/** The error in a message is only a part of its first line: what is cut is looked for in the whole. */
function redactedMessage(
  message: string,
  { job, payload }: StoredPayload,
  redaction: AdminGround["redaction"],
): string {
  const { lastError } = job;
  if (lastError === null || lastError === "") return redaction.textOf(message, payload);
  const line = quotedLine(lastError);
  const shown =
    line === "" ? message : message.replaceAll(line, () => quotedLine(redaction.textOf(lastError, payload)));
  return redaction.textOf(shown, payload);
}

/** Stands for an error whose job is gone, so that what must not be seen in it is not known. */
const GONE = "[redacted]";

type ReasonView = WhyAnswer["reasons"][number];

function toReasonView(reason: Awaited<ReturnType<AdminGround["client"]["explainJob"]>>["reasons"][number]): ReasonView {
  const { code, message, remedy, workerId, jobId, until, jobsBefore } = reason;
  return {
    code,
    message,
    remedy,
    ...(workerId === undefined ? {} : { workerId }),
    ...(jobId === undefined ? {} : { jobId }),
    ...(until === undefined ? {} : { until: until.toISOString() }),
    ...(jobsBefore === undefined ? {} : { jobsBefore }),
  };
}

interface Viewer {
  readonly ground: AdminGround;
  readonly principal: Principal;
  /** The job that is explained. */
  readonly id: string;
}

/** A reason without what is said in it of jobs and tasks that this person may not see. */
async function limited(reason: ReasonView, { ground, principal, id }: Viewer): Promise<ReasonView> {
  if (!isLimited(principal)) return reason;
  if (reason.code === "task_unknown") {
    return { ...reason, message: "No worker that lives knows its task.", remedy: "Start a worker with this task." };
  }
  const { jobId, ...rest } = reason;
  if (jobId === undefined || jobId === id) return reason;
  const other = await ground.access.getStoredJob(jobId);
  if (other && maySee(principal, other.job)) return reason;
  const message =
    reason.code === "queue_locked"
      ? "Its queue is locked by a worker that runs another of its jobs."
      : "Other jobs of its queue come first.";
  return { ...rest, message, remedy: "Wait for it, or ask someone who may see all jobs of this queue." };
}

function unknownJob(id: string): HowdahError {
  return new HowdahError(
    "HOWDAH_JOB_UNKNOWN",
    `Job ${id} is not in the table: it completed or was removed, or its id is wrong.`,
  );
}
