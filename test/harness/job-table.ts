import type { Release, ReleaseStatus } from "../../src/postgres/queries/ending/release.ts";
import type { ReleaseRequest } from "../../src/postgres/queries/ending/release-request.ts";

/** How one call of a {@link JobTable} goes wrong. */
export type Fault =
  /** The statement is carried out, and its answer is lost. */
  | "answer lost"
  /** The connection is lost before the statement is carried out, which it may still be. */
  | "on its way"
  /** The statement never arrives. */
  | "never sent"
  /** Another session holds a lock that the statement needs, on a table or a queue. */
  | "locked";

/** An error as a driver throws it. */
export function sqlError(code: string): Error {
  return Object.assign(new Error(`SQLSTATE ${code}`), { code });
}

/**
 * Job rows and queue locks in memory, for unit tests of the classes that release them:
 * `release` does what `_howdah_release_v2` does, for one worker id.
 */
export class JobTable {
  /** Ids of the jobs that the worker holds. */
  readonly held = new Set<string>();
  /** Queues that the worker has locked. */
  readonly lockedQueues = new Set<number>();
  /** Jobs whose rows another transaction holds. */
  readonly busy = new Set<string>();
  /** Rows that exist and belong to another worker. */
  readonly foreign = new Set<string>();
  /** Of these the newest claim that a release has ended, in microseconds. */
  readonly releasedAts = new Map<string, string>();
  /** Rows that others have had and removed. */
  readonly taken = new Set<string>();
  /** Transactions of handlers that have committed. */
  readonly committed = new Set<string>();
  /** Jobs whose rows a trigger defends against every change. */
  readonly forbidden = new Set<string>();
  /** Jobs of which a trigger refuses every change with this SQLSTATE. */
  readonly poisoned = new Map<string, string>();
  /** Jobs for whose end a client waits: they are not deleted without their results. */
  readonly awaited = new Set<string>();
  /** Jobs of which a trigger drops every change without a word. */
  readonly kept = new Set<string>();
  /** The SQLSTATE with which every statement fails that touches a row at all. */
  broken: string | undefined;
  /** Called before each statement that touches a row; what it throws is what the statement fails with. */
  before: (() => void) | undefined;
  /** Texts that cannot be stored. */
  readonly unstorable = new Set<string>();
  /** Each job id, as often as it was really released, in order. */
  readonly written: string[] = [];
  readonly requests: ReleaseRequest[] = [];
  readonly faults: (Fault | undefined)[] = [];

  readonly release: Release = async (request) => {
    this.requests.push(request);
    const fault = this.faults.shift();
    await Promise.resolve();
    if (fault === "never sent") throw sqlError("57P03");
    if (fault === "on its way") throw sqlError("08006");
    if (fault === "locked") throw sqlError("55P03");
    const answer = this.#carryOut(request);
    if (fault === "answer lost") throw sqlError("08006");
    return answer;
  };

  #carryOut(request: ReleaseRequest): Awaited<ReturnType<Release>> {
    const { completed, kept = [], changed, chainEnds, claimTimes, patient } = request;
    const texts = changed.flatMap(({ message, payload }) => [message, payload]);
    if (texts.some((text) => text !== null && this.unstorable.has(text))) throw sqlError("22P05");
    const deleted = [...completed, ...kept.map(({ id }) => id)];
    const ids = [...deleted, ...changed.map(({ id }) => id)];
    if (ids.length > 0) this.before?.();
    if (this.broken !== undefined && ids.length > 0) throw sqlError(this.broken);
    if (ids.some((id) => this.forbidden.has(id))) throw sqlError("P0001");
    const poison = ids.find((id) => this.held.has(id) && this.poisoned.has(id));
    if (poison !== undefined) throw sqlError(this.poisoned.get(poison) ?? "");
    if (patient && ids.some((id) => this.busy.has(id) && this.held.has(id))) throw sqlError("55P03");

    const unreleased = new Map<string, ReleaseStatus>();
    const runAts = new Map<string, string>();
    const releasedAts = new Map<string, string | null>();
    for (const id of ids) {
      const within = changed.find((change) => change.id === id)?.within;
      const isUnkept = completed.includes(id);
      const isDeleted = deleted.includes(id);
      const status = this.#end(id, { isUnkept, isDeleted, claimedAt: claimTimes[0] ?? "", within });
      if (status) unreleased.set(id, status);
      if (!isDeleted && (!status || status === "lost")) runAts.set(id, "1");
      if (status === "lost") releasedAts.set(id, this.releasedAts.get(id) ?? null);
    }
    for (const { queueId, lastJobId } of chainEnds) {
      if (!this.held.has(lastJobId)) this.lockedQueues.delete(queueId);
      else if (this.lockedQueues.has(queueId) && !unreleased.has(lastJobId)) unreleased.set(lastJobId, "busy");
    }
    return { unreleased, runAts, releasedAts };
  }

  #end(id: string, { isUnkept, isDeleted, claimedAt, within }: End): ReleaseStatus | undefined {
    if (!this.held.has(id)) {
      if (this.foreign.has(id)) return "lost";
      if (within !== undefined && this.committed.has(within)) return "done";
      return this.taken.has(id) || within !== undefined ? "taken" : "gone";
    }
    if (this.busy.has(id)) return "busy";
    if (isUnkept && this.awaited.has(id)) return "awaited";
    if (this.kept.has(id)) return "kept";
    this.held.delete(id);
    if (!isDeleted) {
      this.foreign.add(id);
      this.releasedAts.set(id, claimedAt);
    }
    this.written.push(id);
    return undefined;
  }
}

/** How one claim is to end. */
interface End {
  readonly isUnkept: boolean;
  readonly isDeleted: boolean;
  readonly claimedAt: string;
  readonly within: string | undefined;
}
