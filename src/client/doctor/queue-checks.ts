import { didYouMean } from "../../runtime/suggestion.ts";
import { formatCount } from "../views/amounts.ts";
import { age, type Checks, percent, when, worst } from "./check.ts";
import type { ExplainedJob } from "./probes.ts";

/** The checks of jobs, queues and workers. */
export const QUEUE_CHECKS = {
  workers: {
    id: "workers",
    question: "workers",
    title: "workers that are silent or dead",
    means: "A silent worker runs nothing new; what a dead one held waits for its recovery, which other workers do.",
    todo: "Start workers. When none runs, howdah workers --sweep returns what the dead ones held.",
    guide: "guides/recovery.md",
    judge({ workers, idle }, { limits }) {
      const list = workers ?? [];
      const silent = list.filter(({ swept, silentSeconds }) => swept === 0 && silentSeconds > limits.silentWarnSeconds);
      const dead = list.filter(({ swept }) => swept > 0);
      const alive = list.length - silent.length - dead.length;
      const unwatched = list.filter(({ hasLock, swept }) => swept === 0 && !hasLock);
      return worst(
        [
          when(
            silent.length > 0,
            "warn",
            () =>
              `${silent[0]?.id} has sent no heartbeat for ${age(silent[0]?.silentSeconds ?? 0)}; ${silent.length} are silent.`,
          ),
          when(dead.length > 0, "note", () => `${dead.length} are dead, and their recovery is under way.`),
          when(alive === 0 && idle === 0, "note", () => "No worker is registered."),
          when(
            unwatched.length > 0,
            "note",
            () => `${unwatched.length} of ${alive} have no session lock: their death is noticed later.`,
          ),
        ],
        `${alive} live${idle === 0 ? "" : `, and ${idle} ${idle === 1 ? "is" : "are"} idle: what these run is not known`}.`,
      );
    },
  },
  oldestJobs: {
    id: "oldest-due",
    question: "oldestJobs",
    title: "the oldest due jobs, and what is in their way",
    means: "Jobs wait longer than they should.",
    todo: "howdah why ID says all that is in the way of a job, and what mends it.",
    guide: "guides/inspecting-jobs.md",
    judge({ plain, queued }, { limits }) {
      const say = (where: string, { id, seconds, reason }: ExplainedJob): string =>
        `Job ${id} ${where} has been due for ${age(seconds)}${reason ? `: ${reason.message}` : "."}`;
      const isLate = (job: ExplainedJob | null): job is ExplainedJob => (job?.seconds ?? 0) > limits.dueWarnSeconds;
      return worst(
        [
          isLate(plain) ? { status: "warn", finding: say("without a queue", plain) } : undefined,
          isLate(queued) ? { status: "warn", finding: say("in a queue", queued) } : undefined,
        ],
        plain === null && queued === null
          ? "None waits."
          : `They have waited for ${age(Math.max(plain?.seconds ?? 0, queued?.seconds ?? 0))}.`,
      );
    },
  },
  lockedQueues: {
    id: "locked-queues",
    question: "lockedQueues",
    title: "queues that are locked for long",
    means: "No other job of the queue runs meanwhile.",
    todo: "Cancel the job that runs, or free the queue of a worker that is gone with client.forceUnlockWorkers([holder]).",
    guide: "guides/queues-and-concurrency.md",
    judge({ queues }, { limits }) {
      const list = queues ?? [];
      const left = list.find(
        ({ isHolderGone, lockedSeconds }) => isHolderGone && lockedSeconds > limits.lockedByNoneFailSeconds,
      );
      const long = list.find(({ lockedSeconds }) => lockedSeconds > limits.lockedWarnSeconds);
      return worst(
        [
          when(
            left !== undefined,
            "fail",
            () =>
              `${left?.name} has been locked for ${age(left?.lockedSeconds ?? 0)} by ${left?.holder}, which is not registered.`,
          ),
          when(
            long !== undefined,
            "warn",
            () => `${long?.name} has been locked for ${age(long?.lockedSeconds ?? 0)} by ${long?.holder}.`,
          ),
        ],
        "None is locked for long.",
      );
    },
  },
  unknownTasks: {
    id: "unknown-tasks",
    question: "unknownTasks",
    title: "due jobs whose task no living worker runs",
    means: "They wait for a worker that knows the task; it may be misspelt.",
    todo: "Deploy a worker with the task, or remove the jobs.",
    guide: "guides/workers.md",
    judge({ due, known, isOpen }) {
      if (known === null) {
        return { status: "note", finding: "No worker is registered, so it is not known who would run them." };
      }
      const names = new Set(known);
      const unknown = (due ?? []).filter(({ task }) => !names.has(task));
      const [most] = unknown;
      const say = (): string =>
        `${most?.task}: ${most?.jobs} due for ${age(most?.seconds ?? 0)}, and no living worker runs it${didYouMean(most?.task ?? "", known)}`;
      return worst(
        [when(unknown.length > 0, isOpen ? "note" : "fail", say)],
        "Living workers run the tasks of all due jobs near the head.",
      );
    },
  },
  pauses: {
    id: "pauses",
    question: "pauses",
    title: "tasks and queues that are paused",
    means: "Their jobs wait.",
    todo: "howdah tasks resume NAME, howdah queues resume NAME.",
    guide: "guides/controlling-jobs.md",
    judge: ({ pauses }) =>
      worst(
        [
          when(
            (pauses?.length ?? 0) > 0,
            "note",
            () =>
              `Paused: ${(pauses ?? [])
                .slice(0, 3)
                .map(({ kind, name }) => `${kind} ${name}`)
                .join(", ")}${(pauses?.length ?? 0) > 3 ? ", and more" : ""}.`,
          ),
        ],
        "None.",
      ),
  },
  schedules: {
    id: "schedules",
    question: "schedules",
    title: "stored schedules that miss their ticks",
    means: "No worker runs that adds their jobs, or the database refuses these.",
    todo: "Start a worker, look at the log of those that run, and see howdah schedules list.",
    guide: "guides/cron.md",
    judge({ late }) {
      const [first] = late;
      const others = late.length > 1 ? `, and ${formatCount(late.length - 1, "other")} too` : "";
      const say = (): string =>
        `${first?.id} has missed every tick since ${first?.missedAt.toISOString()}${first?.isTaskKnown ? "" : ", and no worker knows its task"}${others}.`;
      return worst([when(first !== undefined, "warn", say)], "None has missed two.");
    },
  },
  failed: {
    id: "failed",
    question: "failed",
    title: "jobs that failed for good",
    means: "They stay until they run again or are removed.",
    todo: "howdah stats --by error; client.retryJobs() or client.removeJobs() with a filter.",
    guide: "guides/inspecting-jobs.md",
    judge({ counted, top, topJobs }, { limits }) {
      const many = counted > limits.failedWarn;
      const say = (): string =>
        `${many ? "More than " : ""}${formatCount(Math.min(counted, 10_000))}; of the newest ${percent((topJobs ?? 0) / Math.min(Math.max(counted, 1), 1_000))} with ${JSON.stringify(top)}.`;
      return worst([when(many, "warn", say), when(counted > 0, "note", say)], "None.");
    },
  },
} satisfies Checks;
