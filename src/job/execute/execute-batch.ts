import { types } from "node:util";
import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { isDirective, type Directive } from "../directive.ts";
import { encodePayload } from "../payload.ts";
import type { PayloadSchema } from "../schema.ts";
import type { BatchTask } from "../task.ts";
import type { JobContext } from "./context.ts";
import { InvalidPayload, toInput } from "./invalid-payload.ts";

/** Some items of a batch failed; the job keeps only these as its payload. */
export class BatchFailure extends HowdahError {
  readonly #rest: string;

  constructor(message: string, rest: string, cause: unknown) {
    super("HOWDAH_BATCH_ITEMS_FAILED", message, cause);
    this.#rest = rest;
  }

  /** The failed items as JSON, when `thrown` is such an error. Never throws: `instanceof` does, for a revoked proxy. */
  static restOf(thrown: unknown): string | undefined {
    return typeof thrown === "object" && thrown !== null && #rest in thrown ? thrown.#rest : undefined;
  }
}

/** The most failed items whose errors stand in the message. */
const MAX_SHOWN = 10;

/**
 * Calls a batch handler with the items of a job. Gives back a directive when
 * it returned one. Throws {@link BatchFailure} when some items failed,
 * `HOWDAH_BATCH_RESULT_INVALID` when the result does not fit the items, and
 * whatever the handler throws.
 */
export async function runBatch(
  task: BatchTask,
  schema: PayloadSchema<unknown, unknown> | undefined,
  context: JobContext & { readonly payload: unknown },
): Promise<Directive | undefined> {
  const stored = itemsOf(context.job.payload);
  const given = itemsOf(context.payload);
  checkCount(given.length, stored.length);
  const items = schema
    ? await Promise.all(given.map((item, index) => toInput(schema, item, `payload[${index}]`)))
    : [...given];
  const result: unknown = await task.runBatch(items, context);
  if (isDirective(result)) return result;
  if (result !== undefined) await checkResults(stored, result);
  return undefined;
}

function itemsOf(payload: unknown): readonly unknown[] {
  if (Array.isArray(payload)) return payload;
  throw new InvalidPayload(`The payload of a batch job must be an array, found ${describeValue(payload)}.`);
}

/** What is left of a batch is found by its place among the stored items. */
function checkCount(given: number, stored: number): void {
  if (given === stored) return;
  throw new HowdahError(
    "HOWDAH_HOOK_ANSWER_INVALID",
    `The interceptors of \`beforeJobRun\` made ${given} items of the ${stored} of a batch; their number has to stay.`,
  );
}

async function checkResults(stored: readonly unknown[], result: unknown): Promise<void> {
  if (!Array.isArray(result))
    return refuse(`must return nothing or one entry per item, returned ${describeValue(result)}`);
  const results = await Promise.allSettled(result as readonly unknown[]);
  if (results.length !== stored.length) {
    return refuse(`returned ${results.length} results for ${stored.length} payload items`);
  }
  const failures = results.flatMap((settled, index) => failureOf(settled, index));
  if (failures.length === 0) return;
  const rest = encodePayload(failures.map(({ index }) => stored[index]));
  throw new BatchFailure(describe(failures), rest, failures[0]?.error);
}

interface ItemFailure {
  readonly index: number;
  readonly error: unknown;
}

function failureOf(settled: PromiseSettledResult<unknown>, index: number): ItemFailure[] {
  if (settled.status === "rejected") return [{ index, error: settled.reason }];
  return types.isNativeError(settled.value) || settled.value instanceof Error ? [{ index, error: settled.value }] : [];
}

function describe(failures: readonly ItemFailure[]): string {
  const shown = failures.slice(0, MAX_SHOWN).map(({ index, error }) => `${index}: ${errorMessage(error)}`);
  const more = failures.length > MAX_SHOWN ? `, and ${failures.length - MAX_SHOWN} more` : "";
  return `${failures.length} batch item(s) failed: ${shown.join(", ")}${more}`;
}

function refuse(what: string): never {
  throw new HowdahError("HOWDAH_BATCH_RESULT_INVALID", `The batch handler ${what}.`);
}
