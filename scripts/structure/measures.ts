import {
  type Length,
  type Sources,
  callbackMembers,
  fileLengths,
  firstComments,
  functionLengths,
  namesExportedTwice,
  smallWithOneImporter,
  sqlLengths,
} from "./source.ts";
import type { Touched } from "./touched.ts";

/** A measure of how far a reader walks, and the most that it may be. */
export interface Measure<Subject> {
  readonly what: string;
  readonly unit?: string;
  readonly most: number;
  value(subject: Subject): number;
  /** What the figure is made of, the worst first. */
  list(subject: Subject): string[];
}

/** What `run-time.ts` prints. */
export interface Runs {
  readonly add: Touched;
  readonly job: Touched;
}

/** What the sources say. */
export const OF_SOURCES: readonly Measure<Sources>[] = [
  {
    what: "longest function, TypeScript",
    unit: "lines",
    most: 60,
    value: (sources) => longest(functionLengths(sources)),
    list: (sources) => listed(functionLengths(sources)),
  },
  {
    what: "longest function or fragment, SQL",
    unit: "lines",
    most: 110,
    value: (sources) => longest(sqlLengths(sources)),
    list: (sources) => listed(sqlLengths(sources)),
  },
  {
    what: "longest file",
    unit: "lines",
    most: 380,
    value: (sources) => longest(fileLengths(sources)),
    list: (sources) => listed(fileLengths(sources)),
  },
  {
    what: "95% of the files are shorter than",
    unit: "lines",
    most: 230,
    value: (sources) => percentile(fileLengths(sources), 0.95),
    list: (sources) => listed(fileLengths(sources)),
  },
  {
    what: "functions among the members of parameter objects",
    // Two are those of the admin API: who asks, and `fetch` itself.
    most: 24,
    value: (sources) => callbackMembers(sources).length,
    list: callbackMembers,
  },
  {
    what: "files whose first comment is about something else than their name",
    most: 6,
    value: (sources) => elsewhere(sources).length,
    list: (sources) => elsewhere(sources).map(({ name }) => name),
  },
  {
    what: "files under 30 lines that one other imports",
    most: 8,
    value: (sources) => smallWithOneImporter(sources).length,
    list: (sources) => listed(smallWithOneImporter(sources)),
  },
  {
    what: "names that two files export",
    most: 0,
    value: (sources) => namesExportedTwice(sources).length,
    list: namesExportedTwice,
  },
];

/** What runs for one add, and for one whole job. */
export const OF_RUNS: readonly Measure<Runs>[] = [
  { what: "files that one add runs", most: 30, value: ({ add }) => add.files, list: ({ add }) => add.names },
  { what: "functions that one add runs", most: 97, value: ({ add }) => add.functions, list: ({ add }) => add.names },
  { what: "files that one whole job runs", most: 83, value: ({ job }) => job.files, list: ({ job }) => job.names },
  {
    what: "functions that one whole job runs",
    most: 328,
    value: ({ job }) => job.functions,
    list: ({ job }) => job.names,
  },
];

function listed(lengths: readonly Length[]): string[] {
  return lengths.toSorted((a, b) => b.lines - a.lines).map(({ name, lines }) => `${lines} ${name}`);
}

function longest(lengths: readonly Length[]): number {
  return Math.max(...lengths.map(({ lines }) => lines));
}

function percentile(lengths: readonly Length[], part: number): number {
  const sorted = lengths.map(({ lines }) => lines).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

function elsewhere(sources: Sources): { name: string }[] {
  return firstComments(sources).filter(({ isMain }) => !isMain);
}
