import { type Checks, when, worst } from "./check.ts";

/** The checks of the way to the database, and of what is found at its end. */
export const CONNECTION_CHECKS = {
  schema: {
    id: "schema",
    question: "schema",
    title: "the schema against what this release makes",
    means: "Changed functions do something else than this release expects.",
    todo: "howdah migrate creates functions that are missing, howdah migrate --adopt those that graphile-worker has replaced; restore from a backup what it refuses to replace.",
    guide: "reference/errors.md",
    judge({ revision, latest, layout, isNewer, different, replaced }) {
      const listed = (keys: readonly string[]): string =>
        `${keys.slice(0, 3).join(", ")}${keys.length > 3 ? `, and ${keys.length - 3} more` : ""}`;
      return worst(
        [
          when(different.length > 0, "fail", () => `Not as this release makes it: ${listed(different)}.`),
          when(isNewer, "note", () => `Revision ${revision}, this release knows ${latest}: not compared.`),
          when(replaced.length > 0, "note", () => `Of another implementation, or changed: ${listed(replaced)}.`),
        ],
        `Revision ${revision}${layout === "shared" ? ", in the layout that is shared with graphile-worker" : ""}, with the functions of this release.`,
      );
    },
  },
  sessions: {
    id: "pooler",
    question: "sessions",
    title: "a transaction pooler in front of the server",
    means: "Notifications do not arrive there, and the lock by which workers are known to live does not stay.",
    todo: "Give workers a listenConnectionString that leads past the pooler, and set preparedStatements: false.",
    guide: "guides/connecting.md",
    judge: ({ kept }) =>
      worst(
        [
          when(kept === "pooled", "warn", () => "A session changes its backend: a transaction pooler is in between."),
          when(kept === "unknown", "note", () => "There is no session that listens, so it is not known."),
        ],
        kept === "in-process" ? "The database runs in this process." : "A session keeps its backend.",
      ),
  },
  delivery: {
    id: "notify",
    question: "delivery",
    title: "notifications to ourselves",
    means: "Workers that do not hear of jobs find them when they poll only.",
    todo: "See pooler; a worker needs a session that listens.",
    guide: "guides/connecting.md",
    judge: ({ canListen, arrivedMs, problem }) =>
      worst(
        [
          when(!canListen, "note", () => "This driver does not listen: workers poll."),
          when(problem !== undefined, "fail", () => `No session listens: ${problem}`),
          when(arrivedMs === null, "fail", () => "A notification to ourselves has not arrived within a second."),
        ],
        `A notification arrives after ${Math.round(arrivedMs ?? 0)} ms.`,
      ),
  },
  roundTrip: {
    id: "round-trip",
    question: "roundTrip",
    title: "the time of a statement that does nothing",
    means: "Each claim and each release takes at least as long.",
    todo: "Run workers near the database; a local queue claims many jobs with one round trip.",
    guide: "guides/tuning.md",
    judge({ medianMs, worstMs }, { limits }) {
      const say = (): string => `${medianMs.toFixed(1)} ms at the median, ${worstMs.toFixed(1)} ms at worst.`;
      return worst([when(medianMs > limits.roundTripNoteMs, "note", say)], say());
    },
  },
} satisfies Checks;
