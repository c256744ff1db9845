import { HowdahError } from "../../errors.ts";
import type { StoredOperation } from "../../client/operator-access.ts";
import type { OperationAnswer, OperationView } from "../contract/bulk-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { isLimited, type Principal } from "../principal.ts";
import { toActivityView } from "../views/activity-view.ts";
import { maySeeOperation, toOperationView } from "../views/operation-view.ts";

/** The routes that read what was changed, and what is being changed. */
export function createChangeReads(ground: AdminGround): Pick<Handlers, "activity" | "listOperations" | "getOperation"> {
  const { access, clock } = ground;
  const now = (): string => new Date(clock.now()).toISOString();

  return {
    async activity({ query: { before, jobId, limit }, principal }) {
      // Those who are limited to some tasks and queues see what they did themselves.
      const who = isLimited(principal) ? principal.name : undefined;
      const { entries, next } = await access.listAudit({ before, jobId, who, limit });
      return { asOf: now(), activity: entries.map(toActivityView), next };
    },

    async listOperations({ principal }) {
      const operations = (await access.listOperations()).filter((operation) => maySeeOperation(principal, operation));
      return { asOf: now(), operations: await withAuthors(operations, ground) };
    },

    async getOperation({ params: { id }, principal }) {
      return readOperation(ground, principal, id);
    },
  };
}

/** An operation that someone may see. Rejects with `HOWDAH_OPERATION_UNKNOWN`. */
export async function readOperation(ground: AdminGround, principal: Principal, id: string): Promise<OperationAnswer> {
  const found = await visibleOperation(ground, principal, id);
  const [operation] = await withAuthors([found], ground);
  if (!operation) throw unknownTo(id);
  return { asOf: new Date(ground.clock.now()).toISOString(), operation };
}

/** The same as it is stored. */
export async function visibleOperation(
  { access }: Pick<AdminGround, "access">,
  principal: Principal,
  id: string,
): Promise<StoredOperation> {
  const operation = await access.getOperation(id);
  if (maySeeOperation(principal, operation)) return operation;
  throw unknownTo(id);
}

async function withAuthors(operations: readonly StoredOperation[], ground: AdminGround): Promise<OperationView[]> {
  if (operations.length === 0) return [];
  const operationIds = operations.map(({ id }) => id);
  const entries = await ground.access.listOperationStarts(operationIds);
  const byId = new Map(entries.map((entry) => [entry.operationId, entry]));
  return operations.map((operation) => toOperationView(operation, byId.get(operation.id), ground));
}

function unknownTo(id: string): HowdahError {
  return new HowdahError("HOWDAH_OPERATION_UNKNOWN", `There is no operation ${id}, or it is none of yours.`);
}
