/** What the doctor knows of jobs, queues and workers. */
export interface QueueFacts {
  readonly workers: {
    readonly workers: readonly KnownWorker[] | null;
    /** How many listen and are not registered. */
    readonly idle: number;
  };
  readonly oldestDue: { readonly plain: OldestJob | null; readonly queued: OldestJob | null };
  readonly lockedQueues: { readonly queues: readonly LockedQueue[] | null };
  readonly unknownTasks: {
    /** The tasks of the due jobs near the head of each priority. */
    readonly due: readonly { readonly task: string; readonly jobs: number; readonly seconds: number }[] | null;
    /** What the living workers say that they run; null when none lives. */
    readonly known: readonly string[] | null;
    /** A worker lives that does not say what it runs, or is idle. */
    readonly isOpen: boolean;
  };
  readonly pauses: {
    readonly pauses:
      readonly { readonly kind: "task" | "queue"; readonly name: string; readonly until: string }[] | null;
  };
  readonly failed: { readonly counted: number; readonly top: string | null; readonly topJobs: number | null };
  readonly orphans: { readonly jobs: number };
  readonly farFuture: { readonly jobs: readonly { readonly id: string; readonly runAt: string }[] | null };
  readonly unusedQueues: { readonly queues: number };
  readonly payloads: { readonly large: number; readonly longest: number | null };
  readonly poison: { readonly ids: readonly string[] | null };
}

/** The job that has waited the longest. */
export interface OldestJob {
  readonly id: string;
  readonly seconds: number;
}

/** A registered worker. */
export interface KnownWorker {
  readonly id: string;
  readonly silentSeconds: number;
  /** 0 while it was not declared dead; see the table of workers. */
  readonly swept: number;
  readonly hasLock: boolean;
}

/** A queue that is locked for long. */
export interface LockedQueue {
  readonly name: string;
  readonly holder: string;
  readonly lockedSeconds: number;
  readonly isHolderGone: boolean;
  readonly holderSilentSeconds: number | null;
}
