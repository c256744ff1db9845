import type { HandlerEnd, Ledger, LimitLine, ListedJob, Micros, StartLine, Told } from "./ledger.ts";

/** One call of a handler. */
export interface Run extends StartLine {
  /** The ledger of its process. */
  readonly file: string;
  readonly from: Micros;
  /** When the handler or its process ended; infinity for a handler that runs to this day. */
  until: Micros;
  how: HandlerEnd | "died" | "unfinished";
  /** When its signal was aborted, and why. */
  aborted: { readonly at: Micros; readonly code: string } | undefined;
  /** What the database said to its outcome, and when. */
  told: { readonly at: Micros; readonly how: Told } | undefined;
}

/** A job that a producer wanted to add. */
export interface AddedJob {
  readonly name: string;
  readonly queue: string | null;
  readonly priority: number;
  /** In milliseconds since 1970; 0 for at once. */
  readonly runAt: number;
  readonly hopeless: boolean;
  /** Whether the producer was told that it is stored, told that it is not, or told nothing. */
  readonly answer: "added" | "rolledBack" | "unsure";
  readonly id: string | undefined;
  /** When it was told. */
  readonly answeredAt: Micros;
}

/** A stretch of time in which a process could not do anything. */
export interface Standstill {
  readonly from: Micros;
  readonly until: Micros;
}

/** A process that worked, for as long as it is known to have lived. */
export interface WorkerLife {
  readonly file: string;
  readonly place: number;
  readonly readyAt: Micros;
  /** When it wrote its last line. */
  readonly lastSignAt: Micros;
  /** The ids that it is known to have had. */
  readonly ids: readonly string[];
}

/** The way of some workers was away, or slow. */
export interface Outage extends Standstill {
  readonly places: readonly number[];
}

/** What all ledgers together say. */
export interface History {
  readonly jobs: readonly AddedJob[];
  /** In the order of their starts. */
  readonly runs: readonly Run[];
  /** By the ledger of the process: frozen on purpose, or kept from running by the machine. */
  readonly standstills: ReadonlyMap<string, readonly Standstill[]>;
  readonly workers: readonly WorkerLife[];
  readonly outages: readonly Outage[];
  /** In their order. */
  readonly limits: readonly (LimitLine & { readonly t: Micros })[];
  /** Processes that ended without being told to. */
  readonly unexpectedExits: readonly string[];
  readonly highest: { readonly connections: number; readonly rssBytes: number; readonly lagMs: number };
  readonly processes: number;
}

/** An event loop that was late by more than this counts as a standstill. */
const NOTICEABLE_LAG_MS = 500;

/** Puts the ledgers of all processes together. */
export function createHistory(ledgers: readonly Ledger[]): History {
  const deaths = collectDeaths(ledgers);
  const runs = ledgers.flatMap((ledger) => collectRuns(ledger, deaths));
  return {
    jobs: ledgers.flatMap(collectJobs),
    runs: runs.toSorted((a, b) => a.from - b.from),
    standstills: new Map(ledgers.map((ledger) => [ledger.file, collectStandstills(ledger, deaths)])),
    workers: ledgers.flatMap(collectLives),
    outages: collectOutages(ledgers),
    limits: ledgers
      .flatMap(({ lines }) => lines.flatMap((line) => (line.e === "limit" ? [line] : [])))
      .toSorted((a, b) => a.t - b.t),
    unexpectedExits: ledgers.flatMap((ledger) => describeUnexpectedExit(ledger, deaths)),
    highest: {
      connections: highest(ledgers, (line) => (line.e === "connections" ? line.count : 0)),
      rssBytes: highest(ledgers, (line) => (line.e === "stat" ? line.rss : 0)),
      lagMs: highest(ledgers, (line) => (line.e === "stat" ? line.lag : 0)),
    },
    processes: ledgers.filter(({ lines }) => lines[0]?.e === "boot").length,
  };
}

/** What happened to a process from outside, by its ledger. */
interface Fate {
  killedAt: Micros | undefined;
  exitedAt: Micros | undefined;
  exit: string;
  readonly frozen: Standstill[];
}

function collectDeaths(ledgers: readonly Ledger[]): ReadonlyMap<string, Fate> {
  const fates = new Map<string, Fate>();
  const fateOf = (of: string): Fate => {
    const known = fates.get(of);
    if (known) return known;
    const made: Fate = { killedAt: undefined, exitedAt: undefined, exit: "", frozen: [] };
    fates.set(of, made);
    return made;
  };
  for (const line of ledgers.flatMap(({ lines }) => lines)) {
    if (line.e === "killed") fateOf(line.of).killedAt ??= line.t;
    if (line.e === "frozen") fateOf(line.of).frozen.push({ from: line.t, until: Number.POSITIVE_INFINITY });
    if (line.e === "thawed") {
      const { frozen } = fateOf(line.of);
      const last = frozen.pop();
      if (last) frozen.push({ from: last.from, until: line.t });
    }
    if (line.e === "exit") {
      const fate = fateOf(line.of);
      fate.exitedAt = line.t;
      fate.exit = line.signal ?? `code ${line.code}`;
    }
  }
  return fates;
}

function collectRuns(ledger: Ledger, fates: ReadonlyMap<string, Fate>): Run[] {
  const runs = new Map<number, Run>();
  const held = new Map<string, Run>();
  for (const line of ledger.lines) {
    if (line.e === "start") {
      const { t: from, ...start } = line;
      const run: Run = {
        ...start,
        file: ledger.file,
        from,
        until: Number.POSITIVE_INFINITY,
        how: "unfinished",
        aborted: undefined,
        told: undefined,
      };
      runs.set(line.n, run);
      held.set(claimOf(line), run);
    } else if (line.e === "end") {
      const run = runs.get(line.n);
      if (run) Object.assign(run, { until: line.t, how: line.how });
    } else if (line.e === "abort") {
      const run = runs.get(line.n);
      if (run) run.aborted = { at: line.t, code: line.code };
    } else if (line.e === "told") {
      const run = held.get(claimOf(line));
      if (run) run.told = { at: line.t, how: line.how };
    }
  }
  const fate = fates.get(ledger.file);
  // What was killed is dead at once; otherwise it lived until it was seen to have ended.
  const endedAt = fate?.killedAt ?? fate?.exitedAt;
  for (const run of runs.values()) {
    if (run.how === "unfinished" && endedAt !== undefined) Object.assign(run, { until: endedAt, how: "died" });
  }
  return [...runs.values()];
}

/** A claim of a job: the next one of the same job has another time or another owner. */
function claimOf({ id, w, l }: { readonly id: string; readonly w: string; readonly l: number }): string {
  return `${id} ${w} ${l}`;
}

function collectJobs({ lines }: Ledger): AddedJob[] {
  const calls = new Map<number, { readonly jobs: readonly ListedJob[]; readonly at: Micros }>();
  const jobs: AddedJob[] = [];
  for (const line of lines) {
    if (line.e === "adding") calls.set(line.c, { jobs: line.jobs, at: line.t });
    else if (line.e === "added" || line.e === "rolledBack" || line.e === "unsure") {
      const call = calls.get(line.c);
      calls.delete(line.c);
      const ids = line.e === "added" ? line.ids : [];
      for (const [index, job] of (call?.jobs ?? []).entries()) {
        jobs.push(toJob(job, { answer: line.e, id: ids[index], answeredAt: line.t }));
      }
    }
  }
  // The process died before it was told anything.
  for (const { jobs: listed, at } of calls.values()) {
    for (const job of listed) jobs.push(toJob(job, { answer: "unsure", id: undefined, answeredAt: at }));
  }
  return jobs;
}

function toJob(
  [name, queue, priority, runAt, hopeless]: ListedJob,
  answer: Pick<AddedJob, "answer" | "id" | "answeredAt">,
): AddedJob {
  return { name, queue, priority, runAt, hopeless: hopeless === 1, ...answer };
}

function collectStandstills(ledger: Ledger, fates: ReadonlyMap<string, Fate>): Standstill[] {
  const late = ledger.lines.flatMap((line) =>
    line.e === "stat" && line.lag >= NOTICEABLE_LAG_MS
      ? [{ from: line.t - (line.lag + 1_000) * 1_000, until: line.t }]
      : [],
  );
  return [...(fates.get(ledger.file)?.frozen ?? []), ...late];
}

function collectLives({ file, lines }: Ledger): WorkerLife[] {
  const [boot] = lines;
  const ready = lines.find((line) => line.e === "ready");
  if (boot?.e !== "boot" || ready?.e !== "ready" || ready.w === undefined) return [];
  // One that distrusts a claim goes on under another id without a line of its own.
  const ids = lines.flatMap((line) => (line.e === "fenced" || line.e === "start" ? [line.w] : []));
  const lastSignAt = lines.at(-1)?.t ?? ready.t;
  return [{ file, place: boot.place, readyAt: ready.t, lastSignAt, ids: [...new Set([ready.w, ...ids])] }];
}

function collectOutages(ledgers: readonly Ledger[]): Outage[] {
  const lines = ledgers.flatMap((ledger) => ledger.lines);
  return lines.flatMap((away) => {
    if (away.e !== "away") return [];
    const back = lines.find(
      (line) => line.e === "back" && line.t >= away.t && String(line.places) === String(away.places),
    );
    return [{ places: away.places, from: away.t, until: back?.t ?? Number.POSITIVE_INFINITY }];
  });
}

/** A worker may fail to start while there is no database; once it runs, nothing but a signal may end it. */
function describeUnexpectedExit(ledger: Ledger, fates: ReadonlyMap<string, Fate>): string[] {
  const fate = fates.get(ledger.file);
  const was = (e: string): boolean => ledger.lines.some((line) => line.e === e);
  if (!fate || fate.exitedAt === undefined || fate.killedAt !== undefined || !was("ready") || was("bye")) return [];
  return [`${ledger.file}: ${fate.exit}`];
}

function highest(ledgers: readonly Ledger[], figure: (line: Ledger["lines"][number]) => number): number {
  let most = 0;
  for (const { lines } of ledgers) for (const line of lines) most = Math.max(most, figure(line));
  return most;
}
