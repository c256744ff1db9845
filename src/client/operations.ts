import { getOperation, listOperations, setOperationState } from "../postgres/queries/operations.ts";
import { integer } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { type BulkOperation, ON_PROGRESS, toBulkOperation } from "./bulk.ts";
import { type BulkRunner, unknownOperation } from "./bulk-runner.ts";
import { checkJobId } from "./job-ids.ts";
import type { Session } from "./session.ts";

/** Bulk changes that were begun, by this process or by others. */
export interface Operations {
  /** Those that have not ended, then the newest of the others. `limit` is 1 to 1000, default 100. */
  list(options?: { readonly limit?: number | undefined }): Promise<BulkOperation[]>;
  /** Rejects with `HOWDAH_OPERATION_UNKNOWN`, as all that follow. */
  get(id: string): Promise<BulkOperation>;
  /** Lets the processes that carry it out end with their present batch. Harmless when it has ended. */
  pause(id: string): Promise<BulkOperation>;
  /** As `pause`, for good. What was done stays done. */
  stop(id: string): Promise<BulkOperation>;
  /**
   * Carries it out from where it stands, and resolves when it has ended, or was
   * paused or stopped. Other processes may do the same: their batches take turns.
   */
  resume(
    id: string,
    options?: { readonly onProgress?: ((operation: BulkOperation) => void) | undefined },
  ): Promise<BulkOperation>;
}

/** The methods about operations on one session. */
export function createOperations(session: Session, runner: BulkRunner): Operations {
  const { schema } = session;
  const target = { executor: session, schema };

  async function get(id: string): Promise<BulkOperation> {
    const checked = checkJobId(id, "The id", "an operation");
    const found = await getOperation(target, checked);
    if (!found) throw unknownOperation(checked);
    return toBulkOperation(found);
  }

  return {
    async list(options) {
      const { limit } = readOptions("operations.list", options, {
        limit: integer({ min: 1, max: 1000, default: 100 }),
      });
      return (await listOperations(session, schema, limit)).map(toBulkOperation);
    },

    get,

    async pause(id) {
      const { id: checked } = await get(id);
      await setOperationState(target, checked, { from: ["running"], to: "paused" });
      return get(checked);
    },

    async stop(id) {
      const { id: checked } = await get(id);
      await setOperationState(target, checked, { from: ["running", "paused"], to: "stopped" });
      return get(checked);
    },

    async resume(id, options) {
      const { onProgress } = readOptions("operations.resume", options, { onProgress: ON_PROGRESS });
      const { id: checked } = await get(id);
      await setOperationState(target, checked, { from: ["paused"], to: "running" });
      return toBulkOperation(await runner.run(checked, (operation) => onProgress?.(toBulkOperation(operation))));
    },
  };
}
