import type { OperatorAccess } from "../client/operator-access.ts";
import { isHowdahError } from "../errors.ts";
import type { Logger } from "../runtime/logger.ts";
import { expired } from "./preview-tokens.ts";
import type { Principal } from "./principal.ts";

/**
 * Records what people do: in the table before it is done, so that nothing is
 * done that is not recorded; then its outcome there and in the log.
 */
export class Audit {
  readonly #access: OperatorAccess;
  readonly #logger: Logger;

  constructor(access: OperatorAccess, logger: Logger) {
    this.#access = access;
    this.#logger = logger;
  }

  /**
   * Does what `work` does, and records it. Rejects as it does, and with
   * `HOWDAH_ADMIN_PREVIEW_EXPIRED` when the preview was begun before, by whatever process.
   */
  async record<T>(change: AuditedChange, work: () => Promise<Changed<T>>): Promise<T> {
    const { principal, action, target, operationId, preview } = change;
    const id = await this.#access.beginAudit({ who: principal.name, action, target, operationId, preview });
    if (id === undefined) throw expired("What this preview showed was begun already.");
    try {
      const changed = await work();
      await this.#settle(id, change, { outcome: "done", count: changed.count, operationId: changed.operationId });
      return changed.answer;
    } catch (error) {
      const outcome = isHowdahError(error) ? error.code : "HOWDAH_UNEXPECTED";
      await this.#settle(id, change, { outcome });
      throw error;
    }
  }

  /** That the outcome cannot be written undoes nothing: the entry stays "begun". */
  async #settle(id: string, change: AuditedChange, outcome: Outcome): Promise<void> {
    const { action, requestId: request, principal } = change;
    const operation = outcome.operationId ?? change.operationId;
    const fields = { who: principal.name, action, ...outcome, operation, audit: id, request };
    this.#logger.info(`${action} through the admin API: ${outcome.outcome}`, defined(fields));
    try {
      await this.#access.settleAudit(id, outcome);
    } catch (error) {
      this.#logger.error("The outcome of a change could not be recorded", { audit: id, request, error });
    }
  }
}

/** What someone is about to do. */
export interface AuditedChange {
  readonly principal: Principal;
  readonly requestId: string;
  /** Such as `jobs.cancel`. */
  readonly action: string;
  /** Ids, names and filters, without payloads. */
  readonly target: Readonly<Record<string, unknown>>;
  readonly operationId?: string | undefined;
  /** Stands for the preview that is begun. */
  readonly preview?: string | undefined;
}

/** What came of it. */
export interface Changed<T> {
  readonly answer: T;
  /** How many jobs were changed, where that is known. */
  readonly count?: number | undefined;
  readonly operationId?: string | undefined;
}

interface Outcome {
  readonly outcome: string;
  readonly count?: number | undefined;
  readonly operationId?: string | undefined;
}

function defined(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { operationId: _id, ...shown } = fields;
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== undefined));
}
