import { setMaxListeners } from "node:events";
import { types } from "node:util";
import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { scoped } from "../../runtime/logger.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { isDirective } from "../directive.ts";
import type { OwnContext } from "../../runtime/own-context.ts";
import type { GatherTask } from "../task.ts";
import type { WorkerContext } from "../worker-context.ts";
import { isSettled } from "./execute-batch.ts";
import type { Execution } from "./execution.ts";
import type { GatherContext, GatheredJob } from "./gather-context.ts";

/** One call of a handler that gathers jobs, and what it is given beside them. */
export class GatherCall implements GatherContext {
  readonly #members: readonly Member[];
  readonly #parts: GatherParts;
  #controller: AbortController | undefined;

  constructor(members: readonly Member[], parts: GatherParts) {
    this.#members = members;
    this.#parts = parts;
  }

  /** Calls the handler, and ends each job as it says. Never rejects. */
  async run(task: GatherTask): Promise<void> {
    try {
      const result: unknown = await task.runMany([...this.#members], this);
      await settleAll(this.#members, result);
    } catch (error) {
      for (const member of this.#members) member.fail(error);
    }
  }

  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    setMaxListeners(0, controller.signal);
    const check = (): void => {
      const open = this.#members.filter(({ hasEnded, signal }) => !hasEnded && !signal.aborted);
      const told = this.#members.findLast(({ signal }) => signal.aborted);
      if (told && open.length === 0) controller.abort(told.signal.reason);
    };
    for (const { signal } of this.#members) signal.addEventListener("abort", check, { once: true });
    check();
    return controller.signal;
  }

  get logger(): GatherContext["logger"] {
    const { task } = this.#first.job;
    return scoped(this.#parts.context.logger, { task, jobs: this.#members.length });
  }

  get client(): GatherContext["client"] {
    return this.#first.client;
  }

  get state(): unknown {
    return this.#first.state;
  }

  get workerId(): string {
    return this.#first.workerId;
  }

  get query(): GatherContext["query"] {
    return this.#first.query;
  }

  get withTransaction(): GatherContext["withTransaction"] {
    return this.#first.withTransaction;
  }

  get settle(): GatherContext["settle"] {
    return (job, outcome) => this.#find(job).settle(outcome);
  }

  get fail(): GatherContext["fail"] {
    return (job, error) => this.#find(job).fail(error);
  }

  get #first(): Execution {
    return (this.#members[0] as Member).execution;
  }

  #find(job: unknown): Member {
    return findMember(this.#members, job);
  }
}

/** What a call stands on. */
export interface GatherParts {
  readonly context: Pick<WorkerContext, "clock" | "logger">;
  /** The asynchronous context in which it begins. */
  readonly origin: OwnContext;
}

/** A job of a call. Its handler takes it apart, so nothing in it needs a `this`. */
export class Member implements GatheredJob {
  readonly execution: Execution;
  readonly payload: unknown;
  /** What the handler says of it, as a handler of it alone would. */
  readonly said: Promise<unknown>;
  #resolve: (result: unknown) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #hasEnded = false;

  constructor(execution: Execution, payload: unknown) {
    this.execution = execution;
    this.payload = payload;
    this.said = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get job(): ClaimedJob {
    return this.execution.job;
  }

  get signal(): AbortSignal {
    return this.execution.signal;
  }

  get complete(): GatheredJob["complete"] {
    return this.execution.complete;
  }

  get progress(): GatheredJob["progress"] {
    return this.execution.progress;
  }

  get log(): GatheredJob["log"] {
    return this.execution.log;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Ends it as a handler does that returns this. */
  end(result: unknown): void {
    this.#hasEnded = true;
    this.#resolve(result);
  }

  /** Ends it as a handler does that throws this. */
  fail(error: unknown): void {
    this.#hasEnded = true;
    this.#reject(error);
  }

  /** What `settle` and the entries of results say. */
  settle(outcome: unknown): void {
    if (types.isNativeError(outcome) || outcome instanceof Error) return this.fail(outcome);
    if (isSettled(outcome)) {
      if (outcome.status === "rejected") return this.fail(outcome.reason);
      return this.settle(outcome.value);
    }
    if (typeof outcome === "function" || typeof outcome === "symbol")
      return this.fail(invalid(`returned a ${typeof outcome} for job ${this.job.id}`));
    // A promise is no answer that is waited for here.
    return this.end(types.isPromise(outcome) ? undefined : outcome);
  }
}

/** Ends what has not ended, as the result of the handler says. */
async function settleAll(members: readonly Member[], result: unknown): Promise<void> {
  if (result === undefined || isDirective(result)) {
    for (const member of members) member.end(result);
    return;
  }
  if (result instanceof Map) {
    const entries = [...(result as ReadonlyMap<unknown, unknown>)].map(([job, outcome]) => {
      return { member: findMember(members, job), outcome };
    });
    await settleEntries(entries);
    for (const member of members) member.end(undefined);
    return;
  }
  if (!Array.isArray(result))
    throw invalid(`must return nothing, a Map, or one entry for each job, returned ${describeValue(result)}`);
  if (result.length !== members.length) throw invalid(`returned ${result.length} results for ${members.length} jobs`);
  await settleEntries(members.map((member, index) => ({ member, outcome: (result as readonly unknown[])[index] })));
}

interface Entry {
  readonly member: Member;
  readonly outcome: unknown;
}

async function settleEntries(entries: readonly Entry[]): Promise<void> {
  const settled = await Promise.allSettled(entries.map(({ outcome }) => outcome));
  for (const [index, { member }] of entries.entries()) member.settle(settled[index]);
}

function findMember(members: readonly Member[], job: unknown): Member {
  const named = (job as Partial<GatheredJob> | undefined)?.job ?? job;
  const found = members.find((member) => member.job === named || member.job.id === named);
  if (found) return found;
  throw invalid(`named ${describeValue(job)}, which is none of its jobs`);
}

function invalid(what: string): HowdahError {
  return new HowdahError("HOWDAH_BATCH_RESULT_INVALID", `The handler \`runMany\` ${what}.`);
}
