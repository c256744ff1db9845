import type { RelationSize, VacuumUnderWay } from "../../postgres/queries/doctor/database-facts.ts";
import { formatBytes, formatCount } from "../views/amounts.ts";
import { age, type Checks, type Finding, when, worst } from "./check.ts";
import type { Limits } from "./limits.ts";

/** The checks of how much room the tables take, and of what gives it back. */
export const STORAGE_CHECKS = {
  sizes: {
    id: "sizes",
    question: "sizes",
    title: "the size of the tables against their rows",
    means: "The room of rows that are gone was not given back. It is used again, and until then caches hold it.",
    todo: "Find what held back vacuum; then reindex index concurrently, and vacuum full while workers stand still.",
    guide: "guides/operations.md",
    judge({ relations }, { limits }) {
      const judged = relations ?? [];
      const large = judged.map((relation) => tooLarge(relation, limits)).find((finding) => finding !== undefined);
      const total = judged.reduce((sum, { bytes }) => sum + bytes, 0);
      return worst([large], `Together ${formatBytes(total)}.`);
    },
  },
  vacuumsUnderWay: {
    id: "vacuums",
    question: "vacuumsUnderWay",
    title: "a vacuum that is stuck",
    means: "Dead rows of the table stay until it ends, and no other vacuum of the table begins.",
    todo: "End the session that blocks it; when it is slow, give it more with vacuum_cost_limit.",
    guide: "guides/operations.md",
    judge({ seesAll, vacuums }, { limits }) {
      const found = (vacuums ?? []).map((vacuum) => stuck(vacuum, limits));
      const running = formatCount(vacuums?.length ?? 0, "vacuum");
      return worst(found, vacuums === null ? "None runs." : `${running} under way.`, seesAll);
    },
  },
} satisfies Checks;

/** The bytes of a row apart from its columns, and of a row and of an entry of an index that no statistics are about. */
const ROW_OVERHEAD = 28;
const UNKNOWN_ROW = 300;
const INDEX_ENTRY = 60;

function tooLarge(relation: RelationSize, limits: Limits): Finding | undefined {
  const { name, isIndex, bytes, rows, width, fillFactor } = relation;
  if (rows === null || bytes <= limits.sizeJudgedBytes) return undefined;
  const row = isIndex ? INDEX_ENTRY : (width ?? UNKNOWN_ROW) + ROW_OVERHEAD;
  const needed = (rows * row) / fillFactor;
  const what = formatCount(rows, isIndex ? "entry" : "row").replace("entrys", "entries");
  return when(
    bytes > limits.sizeWarn * needed,
    "warn",
    () => `${name} has ${formatBytes(bytes)} for ${what}, which need about ${formatBytes(needed)}.`,
  );
}

function stuck({ pid, table, phase, seconds, waitsForPage, blockedBy }: VacuumUnderWay, limits: Limits) {
  const blocked = waitsForPage || blockedBy.length > 0;
  const by = blockedBy.length > 0 ? `behind pid ${blockedBy.join(", ")}` : "for a session that reads a page of it";
  const since = `The vacuum of ${table} (pid ${pid}, ${phase}) has taken ${age(seconds)}`;
  return (
    when(blocked && seconds > limits.vacuumBlockedWarnSeconds, "warn", () => `${since}, and waits ${by}.`) ??
    when(seconds > limits.vacuumWarnSeconds, "warn", () => `${since}.`)
  );
}
