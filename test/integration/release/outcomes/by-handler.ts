import { cancel, rateLimited, snooze } from "../../../../src/job/directive.ts";
import type { JobContext } from "../../../../src/job/execute/context.ts";
import type { SchemaResult } from "../../../../src/job/schema.ts";
import { defineBatchTask, defineTask, type AnyTask, type HandlerResult } from "../../../../src/job/task.ts";
import { unrecoverable } from "../../../../src/job/unrecoverable.ts";
import { RETRY_DELAY, SNOOZE_DELAY } from "./observation.ts";
import type { EndingCase } from "./ending-case.ts";

const retry = { type: "fixed", delay: RETRY_DELAY } as const;

type Run = (context: JobContext) => HandlerResult | Promise<HandlerResult>;

/** A task whose handler does no more than this. */
function does(run: Run): EndingCase["task"] {
  return (identifier): AnyTask => defineTask({ identifier, retry, run: (_payload: unknown, context) => run(context) });
}

function fails(): never {
  throw new Error("no luck");
}

const commit: Run = ({ withTransaction, complete }) => withTransaction((transaction) => complete(transaction));

/** Completes the job in a transaction that is rolled back. */
const rollBack: Run = ({ withTransaction, complete }) =>
  withTransaction(async (transaction) => {
    await complete(transaction);
    throw new Error("no money");
  });

const PICKY = {
  "~standard": {
    version: 1 as const,
    vendor: "test",
    validate: (): SchemaResult<unknown> => ({ issues: [{ message: "Expected a number", path: ["count"] }] }),
  },
};

/** What handlers can do, and what can be wrong with a payload. */
export const BY_HANDLER: readonly EndingCase[] = [
  { what: "it returns", task: does(() => undefined) },
  { what: "it throws", task: does(fails) },
  { what: "it throws in the last attempt", task: does(fails), spec: { maxAttempts: 1 } },
  {
    what: "it throws `unrecoverable(error)`",
    task: does(() => {
      throw unrecoverable(new Error("no luck"));
    }),
  },
  {
    what: "it throws, and the retry policy says `false`",
    task: (identifier) => defineTask({ identifier, retry: () => false, run: fails }),
  },
  { what: "it returns `snooze(delay)`", task: does(() => snooze(SNOOZE_DELAY)) },
  { what: "it returns `rateLimited({ after })`", task: does(() => rateLimited({ after: SNOOZE_DELAY })) },
  {
    what: "it throws `rateLimited({ after })`",
    task: does(() => {
      throw rateLimited({ after: SNOOZE_DELAY });
    }),
  },
  { what: "it returns `cancel(reason)`", task: does(() => cancel("not wanted")) },
  { what: "`complete(tx)`, committed, and it returns", task: does(commit) },
  {
    what: "`complete(tx)`, committed, and it throws",
    task: does(async (context) => {
      await commit(context);
      fails();
    }),
  },
  { what: "`complete(tx)`, rolled back, and it throws", task: does(rollBack) },
  {
    what: "`complete(tx)`, rolled back, and it returns",
    task: does(async (context) => {
      await Promise.resolve(rollBack(context)).catch(() => undefined);
    }),
  },
  {
    what: "the batch handler returns failed items",
    payload: [1, 2, 3],
    task: (identifier) =>
      defineBatchTask({ identifier, retry, runBatch: () => [undefined, new Error("no luck"), undefined] }),
  },
  {
    what: "the batch handler returns too few results",
    payload: [1, 2, 3],
    task: (identifier) => defineBatchTask({ identifier, retry, runBatch: () => [undefined] }),
  },
  {
    what: "the payload does not fit its schema",
    task: (identifier) => defineTask({ identifier, retry, payload: PICKY, run: fails }),
  },
  {
    what: 'the same with `invalidPayload: "retry"`',
    task: (identifier) => defineTask({ identifier, retry, payload: PICKY, invalidPayload: "retry", run: fails }),
  },
];

/** What interceptors can decide. */
export const BY_INTERCEPTOR: readonly EndingCase[] = [
  {
    what: "`beforeJobRun` skips it",
    task: does(fails),
    hooks: { beforeJobRun: () => ({ action: "skip" }) },
  },
  {
    what: "`beforeJobRun` fails it",
    task: does(() => undefined),
    hooks: { beforeJobRun: () => ({ action: "fail", message: "not today" }) },
  },
  {
    what: "`afterJobRun` skips it after it has thrown",
    task: does(fails),
    hooks: { afterJobRun: () => ({ action: "skip" }) },
  },
  {
    what: "`afterJobRun` fails it after it has returned",
    task: does(() => undefined),
    hooks: { afterJobRun: () => ({ action: "fail", message: "not good enough" }) },
  },
  {
    what: "an interceptor throws",
    task: does(() => undefined),
    hooks: {
      beforeJobRun: () => {
        throw new Error("no connection");
      },
    },
  },
];
