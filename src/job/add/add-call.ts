import { HowdahError } from "../../errors.ts";
import type { HookEmitter } from "../../hooks/emitter.ts";
import { toHowdahError } from "../../postgres/database-error.ts";
import type { Schema } from "../../postgres/schema.ts";
import type { JobScheduleDecision, JobScheduleEvent, ScheduleCall, ScheduleResult } from "../../hooks/interceptors.ts";

/** One call that adds jobs, as its interceptors see it. */
export class AddCall implements ScheduleCall {
  readonly method: ScheduleCall["method"];
  readonly size: number;
  readonly #hooks: AddHooks;
  readonly #listeners: ((result: ScheduleResult) => void)[] = [];

  constructor(hooks: AddHooks, { method, size }: Pick<ScheduleCall, "method" | "size">) {
    this.#hooks = hooks;
    this.method = method;
    this.size = size;
  }

  whenEnded(listener: (result: ScheduleResult) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Asks about one of the jobs. Resolves to what is changed about it. Rejects
   * with `HOWDAH_JOB_SKIPPED` or `HOWDAH_JOB_REFUSED` when it is not to be
   * added, and as `HookEmitter.decide` does.
   */
  async ask(job: Omit<JobScheduleEvent, "call">, subject: string): Promise<JobChanges | undefined> {
    const decision = await this.#hooks.decide("beforeJobSchedule", { ...job, call: this });
    if (decision?.action === "skip")
      throw new HowdahError("HOWDAH_JOB_SKIPPED", `An interceptor of \`beforeJobSchedule\` skipped ${subject}.`);
    if (decision?.action === "fail")
      throw new HowdahError(
        "HOWDAH_JOB_REFUSED",
        `An interceptor of \`beforeJobSchedule\` refused ${subject}: ${decision.message}`,
      );
    return decision;
  }

  /** Resolves or rejects as the adding does, and tells those who wait for the end. Called once. */
  async follow<Added>(
    adding: Promise<Added>,
    schema: Schema,
    idsOf: (added: Added) => readonly string[],
  ): Promise<Added> {
    try {
      const added = await adding;
      this.ended({ jobIds: idsOf(added) });
      return added;
    } catch (error) {
      // They are told what the caller is told.
      const explained = toHowdahError(error, schema);
      this.ended({ error: explained });
      throw explained;
    }
  }

  /** Tells those who wait for the end. Called once. */
  ended(result: ScheduleResult): void {
    for (const listener of this.#listeners) {
      try {
        listener(result);
      } catch {
        // The jobs are stored, or not; nothing that a listener does may change that.
      }
    }
  }
}

/** Those who have a say in what is added, and are told of it. */
export type AddHooks = Pick<HookEmitter, "has" | "decide" | "emit">;

/** What interceptors have changed about a job to add. */
export type JobChanges = Extract<JobScheduleDecision, { readonly action: "continue" }>;

/** JSON with properties set on the object that it holds, or on every object of the list that it holds. */
export function attach(json: string, properties: Readonly<Record<string, unknown>>): unknown {
  const payload: unknown = JSON.parse(json);
  if (Array.isArray(payload)) return payload.map((item) => withProperties(item, properties));
  return withProperties(payload, properties);
}

function withProperties(value: unknown, properties: Readonly<Record<string, unknown>>): unknown {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value, ...properties } : value;
}
