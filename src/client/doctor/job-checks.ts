import { formatBytes, formatCount } from "../views/amounts.ts";
import { type Checks, when, worst } from "./check.ts";

/** The checks of jobs that do not run as they should, and of what costs more than it needs to. */
export const JOB_CHECKS = {
  orphans: {
    id: "orphans",
    question: "orphans",
    title: "jobs whose task or queue was deleted",
    means: "They never run.",
    todo: "Remove them: client.removeJobs() with a filter. Delete tasks and queues with client.cleanup() only.",
    guide: "reference/sql.md",
    judge: ({ jobs }) =>
      worst([when(jobs > 0, "fail", () => `${jobs} of the first 5,000 jobs.`)], "None of the first 5,000 jobs."),
  },
  farFuture: {
    id: "far-future",
    question: "farFuture",
    title: "jobs that are due in more than a year",
    means: "A unit may be wrong: milliseconds for seconds.",
    todo: "client.rescheduleJobs([id], { runAt }) or removeJobs.",
    guide: "guides/adding-jobs.md",
    judge: ({ jobs }) =>
      worst(
        [when((jobs?.length ?? 0) > 0, "note", () => `Job ${jobs?.[0]?.id} is due at ${jobs?.[0]?.runAt}.`)],
        "None.",
      ),
  },
  unusedQueues: {
    id: "unused-queues",
    question: "unusedQueues",
    title: "queues without jobs",
    means: "Each costs a row.",
    todo: 'client.cleanup(["unusedQueues"]), from a cron for instance.',
    guide: "guides/queues-and-concurrency.md",
    judge: ({ queues }, { limits }) =>
      worst(
        [when(queues > limits.unusedQueuesNote, "note", () => `More than ${formatCount(limits.unusedQueuesNote)}.`)],
        `${formatCount(queues)} of the first 20,000.`,
      ),
  },
  payloads: {
    id: "payloads",
    question: "payloads",
    title: "large payloads",
    means: "Each claim carries them, and the database keeps them twice.",
    todo: "Store the data elsewhere and add where it is.",
    guide: "guides/payloads.md",
    judge: ({ large, longest }) =>
      worst(
        [
          when(
            large > 0,
            "note",
            () =>
              `${large} of the newest 500 jobs have more than 100 kB; the largest has ${formatBytes(longest ?? 0)}.`,
          ),
        ],
        "None of the newest 500 jobs has more than 100 kB.",
      ),
  },
  poison: {
    id: "poison",
    question: "poison",
    title: "jobs whose workers died more than once",
    means: "The job may kill its workers.",
    todo: "Look at its payload and the log of the workers; howdah cancel ID.",
    guide: "guides/recovery.md",
    judge: ({ ids }) => worst([when((ids?.length ?? 0) > 0, "note", () => `Jobs ${ids?.join(", ")}.`)], "None."),
  },
} satisfies Checks;
