import { types } from "node:util";
import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { isDirective, type Directive } from "../directive.ts";
import type { PayloadSchema } from "../schema.ts";
import type { BatchTask } from "../task.ts";
import type { JobContext } from "./context.ts";
import { InvalidPayload, toInput } from "./invalid-payload.ts";

/**
 * Calls a batch handler with the items of a job. Gives back a directive when
 * it returned one. Throws {@link BatchFailure} when some items failed,
 * `HOWDAH_BATCH_RESULT_INVALID` when the result does not fit the items, and
 * whatever the handler throws.
 */
export async function runBatch(
  task: BatchTask,
  schema: PayloadSchema<unknown, unknown> | undefined,
  context: JobContext & { readonly payload: unknown; readonly job: { readonly payloadText: string } },
): Promise<Directive | undefined> {
  const stored = itemsOf(context.job.payload);
  const given = itemsOf(context.payload);
  checkCount(given.length, stored.length);
  const items = schema
    ? await Promise.all(given.map((item, index) => toInput(schema, item, `payload[${index}]`)))
    : [...given];
  const result: unknown = await task.runBatch(items, context);
  if (isDirective(result)) return result;
  if (result !== undefined) await checkResults(result, stored.length, context.job.payloadText);
  return undefined;
}

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

/** `payload` is the text that is stored: what is kept of it is cut out, so that nothing in it changes. */
async function checkResults(result: unknown, count: number, payload: string): Promise<void> {
  if (!Array.isArray(result))
    return refuse(`must return nothing or one entry per item, returned ${describeValue(result)}`);
  const results = await Promise.allSettled(result as readonly unknown[]);
  if (results.length !== count) return refuse(`returned ${results.length} results for ${count} payload items`);
  const failures = results.flatMap((settled, index) => failureOf(settled, index));
  if (failures.length === 0) return;
  const items = arrayItems(payload);
  const rest = `[${failures.map(({ index }) => items[index]).join(",")}]`;
  throw new BatchFailure(describe(failures), rest, failures[0]?.error);
}

interface ItemFailure {
  readonly index: number;
  readonly error: unknown;
}

/**
 * How the entry of one item counts:
 *
 *   an error                                    failed
 *   rejected, or what Promise.allSettled says   failed, with its reason
 *     of a promise that was
 *   what Promise.allSettled says of another     as the value of the promise
 *   an answer of the application that has only  done
 *     its `status` in common with that
 *   a directive, a function, a symbol           no answer: the batch has failed
 *   anything else, also nothing                 done
 */
function failureOf(settled: PromiseSettledResult<unknown>, index: number): ItemFailure[] {
  if (settled.status === "rejected") return [{ index, error: settled.reason }];
  const { value } = settled;
  if (isDirective(value))
    return refuse(`returned ${value.kind}() for item ${index}, which only a whole job can be told`);
  if (types.isNativeError(value) || value instanceof Error) return [{ index, error: value }];
  if (isSettled(value)) return failureOf(value, index);
  if (typeof value === "function" || typeof value === "symbol")
    return refuse(
      `returned a ${typeof value} for item ${index}, which says neither that it is done nor that it failed`,
    );
  return [];
}

/** Whether a value is an entry of what `Promise.allSettled` gives. */
export function isSettled(value: unknown): value is PromiseSettledResult<unknown> {
  if (typeof value !== "object" || value === null) return false;
  const { status } = value as { readonly status?: unknown };
  return (status === "rejected" && "reason" in value) || (status === "fulfilled" && "value" in value);
}

function describe(failures: readonly ItemFailure[]): string {
  const shown = failures.slice(0, MAX_SHOWN).map(({ index, error }) => `${index}: ${errorMessage(error)}`);
  const more = failures.length > MAX_SHOWN ? `, and ${failures.length - MAX_SHOWN} more` : "";
  return `${failures.length} batch item(s) failed: ${shown.join(", ")}${more}`;
}

function refuse(what: string): never {
  throw new HowdahError("HOWDAH_BATCH_RESULT_INVALID", `The batch handler ${what}.`);
}

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OPENING = new Set([91, 123]);
const CLOSING = new Set([93, 125]);

/**
 * The texts of the items of a JSON array, cut out of its own text. What is read
 * and written anew is not always the same: numbers beyond 2^53 are rounded, and
 * of two properties with one name the first is lost. `json` has to be an array
 * that `JSON.parse` accepts.
 */
export function arrayItems(json: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let start = 0;
  const endItem = (end: number): void => void items.push(json.slice(start, end).trim());
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at);
    else if (OPENING.has(code)) {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (CLOSING.has(code)) {
      depth -= 1;
      if (depth === 0) endItem(at);
    } else if (code === COMMA && depth === 1) {
      endItem(at);
      start = at + 1;
    }
  }
  return items.length === 1 && items[0] === "" ? [] : items;
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
