import type { LineNote, Notes, ProgressNote } from "../postgres/queries/job-notes.ts";
import type { ClaimedJob } from "./claimed-job.ts";

/** The jobs of which handlers have noted something that is to be written, or was and may be again. */
export class NotedJobs {
  /** Empty while no handler notes anything. */
  readonly byJob = new Map<ClaimedJob, Noted>();
  #done: string[] = [];
  /** How many characters the lines have that are to be written. */
  #waiting = 0;

  /** Whether something is to be written. */
  get hasMore(): boolean {
    if (this.#done.length > 0) return true;
    for (const { hasProgress, lines } of this.byJob.values()) if (hasProgress || lines.length > 0) return true;
    return false;
  }

  /** Whether no further lines are taken: so much waits to be written. */
  get isFull(): boolean {
    return this.#waiting > MAX_WAITING;
  }

  /** Notes how far a job is, as JSON. Returns whether that is news. */
  setProgress(job: ClaimedJob, progress: string): boolean {
    const noted = this.#of(job);
    if (noted.progress === progress) return false;
    noted.progress = progress;
    noted.hasProgress = true;
    return true;
  }

  /** Adds a line to the log of a job, which keeps at most N. */
  addLine(job: ClaimedJob, line: LineNote, keptLines: number): void {
    const noted = this.#of(job);
    this.#waiting += lengthOf(line);
    noted.keptLines = keptLines;
    noted.lines.push(line);
    // Not with every line: the list would be moved each time.
    if (noted.lines.length >= 2 * keptLines) this.#cut(noted);
  }

  /** A job was released, as completed or not. Returns whether something of it is to be written. */
  release(job: ClaimedJob, isCompleted: boolean): boolean {
    const noted = this.byJob.get(job);
    if (!noted) return false;
    noted.isReleased = true;
    noted.hasProgress = false;
    if (isCompleted) this.#done.push(job.id);
    if (noted.lines.length === 0) this.byJob.delete(job);
    return isCompleted || noted.lines.length > 0;
  }

  /** What is to be written now; it counts as written. */
  take(): Batch {
    const [progress, lines, full, taken]: [ProgressNote[], LineNote[], Full[], Taken[]] = [[], [], [], []];
    for (const [job, noted] of this.byJob) {
      if (!noted.hasProgress && noted.lines.length === 0) continue;
      taken.push({ job, noted, hadProgress: noted.hasProgress, lines: noted.lines });
      if (noted.hasProgress) progress.push(...toNotes(job, noted.progress ?? "null"));
      lines.push(...noted.lines);
      noted.untrimmed += noted.lines.length;
      if (noted.lines.length > 0 && noted.untrimmed >= noted.keptLines) {
        full.push({ jobId: job.id, kept: noted.keptLines });
        noted.untrimmed = 0;
      }
      noted.hasProgress = false;
      noted.lines = [];
      if (noted.isReleased) this.byJob.delete(job);
    }
    const done = this.#done;
    this.#done = [];
    this.#waiting = 0;
    return { progress, lines, full, done, taken };
  }

  /** A batch was not written, as far as is known. */
  putBack({ taken, done }: Batch): void {
    this.#done = [...done, ...this.#done].slice(-MAX_DONE);
    for (const { job, noted, hadProgress, lines } of taken) {
      noted.hasProgress ||= hadProgress && !noted.isReleased;
      noted.lines = [...lines, ...noted.lines];
      noted.untrimmed = UNKNOWN;
      for (const line of lines) this.#waiting += lengthOf(line);
      this.#cut(noted);
      if (noted.hasProgress || noted.lines.length > 0) this.byJob.set(job, noted);
    }
  }

  /** Forgets all of it. */
  clear(): void {
    this.byJob.clear();
    this.#done = [];
    this.#waiting = 0;
  }

  /** Leaves the newest lines of a job, as many as it keeps. */
  #cut(noted: Noted): void {
    for (const line of noted.lines.slice(0, -noted.keptLines)) this.#waiting -= lengthOf(line);
    noted.lines = noted.lines.slice(-noted.keptLines);
  }

  #of(job: ClaimedJob): Noted {
    const known = this.byJob.get(job);
    if (known) return known;
    const noted = {
      progress: undefined,
      hasProgress: false,
      lines: [],
      keptLines: 0,
      untrimmed: UNKNOWN,
      isReleased: false,
    };
    this.byJob.set(job, noted);
    return noted;
  }
}

/** What was noted of one job. */
export interface Noted {
  /** The last one, as JSON. */
  progress: string | undefined;
  /** It is to be written. */
  hasProgress: boolean;
  /** Those to be written. */
  lines: LineNote[];
  /** How many lines its task keeps. */
  keptLines: number;
  /** How many lines were written since the job was known to have no more than it keeps. */
  untrimmed: number;
  /** It no longer belongs to this worker. */
  isReleased: boolean;
}

/** What one statement writes. */
export interface Batch extends Notes {
  readonly taken: readonly Taken[];
}

type Full = Notes["full"][number];

interface Taken {
  readonly job: ClaimedJob;
  readonly noted: Noted;
  readonly hadProgress: boolean;
  readonly lines: LineNote[];
}

/** One for each time at which the job may be locked. */
function toNotes({ id: jobId, lockedBy: workerId, claimTimes }: ClaimedJob, value: string): ProgressNote[] {
  return claimTimes.map((claimedAt) => ({ jobId, workerId, claimedAt, value }));
}

function lengthOf({ message, fields }: LineNote): number {
  return LEAST_LENGTH + message.length + (fields?.length ?? 0);
}

/** Any number of lines may be there that were written before. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/** What a line takes without its texts. */
const LEAST_LENGTH = 100;

/** While this number of characters waits, no further ones are kept: they are in the log of the worker alone. */
const MAX_WAITING = 8 * 1024 * 1024;

/** The most completed jobs whose notes wait to be deleted while the database is away; a sweep finds the others. */
const MAX_DONE = 10_000;
