import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { createRecordingLogger } from "../../../test/harness/worker.ts";
import { HowdahError } from "../../errors.ts";
import type { Query } from "../../postgres/driver.ts";
import { Execution, type ExecutionContext } from "./execution.ts";

function setUp() {
  const queries: Query[] = [];
  const logger = createRecordingLogger();
  const driver = {
    async query(query: Query) {
      queries.push(query);
      return { rows: [], count: 0 };
    },
    transaction: (work: (transaction: unknown) => Promise<unknown>) => work("transaction"),
  };
  const context = { logger, driver, client: "client", settings: { state: "state" } } as unknown as ExecutionContext;
  const execution = new Execution(claimedJob({ id: "7", attempts: "2" }, { workerId: "w" }), context);
  return { execution, queries, logger };
}

const first = new HowdahError("HOWDAH_ABORTED_TIMEOUT", "first");
const second = new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "second");

describe("the context of a handler", () => {
  it("can be taken apart", async () => {
    const { execution, queries } = setUp();
    const { query, withTransaction, job, state, workerId, signal } = execution;
    await query("select $1", ["a"]);
    await query("select 2");
    expect(queries).toEqual([{ text: "select $1", values: ["a"] }, { text: "select 2" }]);
    expect(await withTransaction(async (transaction) => transaction)).toBe("transaction");
    expect([job.id, state, workerId, signal.aborted]).toEqual(["7", "state", "w", false]);
  });

  it("has a logger that names the job", () => {
    const { execution, logger } = setUp();
    execution.logger.warn("careful", { step: 1 });
    expect(logger.entries).toEqual([
      { level: "warn", message: "careful", fields: { job: "7", task: "t", attempt: 2, step: 1 } },
    ]);
  });

  it("has a signal that may be handed to any number of calls without a warning", async () => {
    const warnings: Error[] = [];
    const keep = (warning: Error): void => void warnings.push(warning);
    process.on("warning", keep);
    try {
      const { signal } = setUp().execution;
      for (let call = 0; call < 12; call++) signal.addEventListener("abort", () => call);
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings).toEqual([]);
    } finally {
      process.off("warning", keep);
    }
  });

  it("is aborted with the first reason, whether its signal was asked for before or after", () => {
    for (const early of [true, false]) {
      const { execution } = setUp();
      const asked = early ? [execution.signal] : [];
      execution.abort(first);
      execution.abort(second);
      expect(execution.signal.reason).toBe(first);
      expect(execution.abortedWith).toBe(first);
      expect(asked.every((signal) => signal === execution.signal)).toBe(true);
    }
  });
});
