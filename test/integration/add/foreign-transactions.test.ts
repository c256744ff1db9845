import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { ApplicationTransaction } from "../../../src/postgres/caller-transaction.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import {
  createSingleConnection,
  type SingleConnection,
  tacitTransaction,
  type WireTransaction,
  wireTransaction,
} from "../../harness/single-connection.ts";
import { createTestWorker } from "../../harness/worker.ts";

// Transactions of a library that Howdah does not know: its driver says what they are, or an adapter of the application.
let database: TestDatabase;
let driver: SingleConnection;
let ofDriver: Client;
let ofPg: Client;

const slow = defineTask({ identifier: "slow", payload: z.object({}).refine(async () => true), run() {} });

beforeAll(async () => {
  database = await createDatabase();
  const { connectionString } = database;
  driver = await createSingleConnection(connectionString, { listen: false });
  const options = { migrate: false, logger: silentLogger };
  ofDriver = await createClient({ driver, ...options });
  ofPg = await createClient({ connectionString, ...options });
});

afterEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await Promise.all([ofDriver.close(), ofPg.close()]);
  await driver.close();
  await database.drop();
});

const count = async (): Promise<number> =>
  Number((await database.sql("select count(*) from howdah._private_jobs"))[0]?.["count"]);

const outcome = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "done",
    (error: unknown) => (isHowdahError(error) ? error.code : error),
  );

type Wrap = (transaction: WireTransaction) => ApplicationTransaction;

for (const [kind, client, wrap] of [
  ["that its driver knows", () => ofDriver, (given) => given as unknown as ApplicationTransaction],
  ["behind an adapter that tells its state", () => ofPg, wireTransaction],
  ["behind an adapter that does not", () => ofPg, tacitTransaction],
] as const satisfies readonly (readonly [string, () => Client, Wrap])[]) {
  describe(`a transaction ${kind}`, () => {
    it("stores jobs with its commit, and none with its rollback", async () => {
      for (const how of ["rollback", "commit"] as const) {
        const transaction = await driver.wire.begin();
        const inside = client().inTransaction(wrap(transaction));
        const job = await inside.addJob("t", { array: [null, "null"] });
        await inside.addJobs([{ identifier: "t" }, { identifier: "u", spec: { jobKey: "k" } }]);
        const ids = { returning: "ids" } as const;
        await inside.addJobs([{ identifier: "t" }], ids);
        await inside.addJobs([{ identifier: "t", spec: { queueName: "q" } }], ids);
        await inside.addJobs([{ identifier: "u", spec: { jobKey: "k" } }], ids);
        await inside.addJob(slow, {});
        expect(await inside.getJob(job.id)).toMatchObject({ id: job.id, task: "t" });
        await inside.removeJob("k");
        expect(await count()).toBe(0);
        await transaction.finish(how);
        expect([how, await count()]).toEqual([how, how === "commit" ? 5 : 0]);
      }
    });

    it("refuses what comes after its end, and stores nothing", async () => {
      const transaction = await driver.wire.begin();
      const inside = client().inTransaction(wrap(transaction));
      await inside.addJob("t");
      const late = outcome(inside.addJob(slow, {}));
      await transaction.finish("rollback");
      expect(await late).toBe("HOWDAH_TRANSACTION_ENDED");
      expect(await outcome(inside.addJob("t"))).toBe("HOWDAH_TRANSACTION_ENDED");
      expect(await count()).toBe(0);
    });
  });
}

it("a driver refuses at once what is of its kind and no transaction", () => {
  expect(() => ofDriver.inTransaction(driver.wire as unknown as ApplicationTransaction)).toThrowError(
    expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message: "A wire is no transaction: begin one." }),
  );
});

it("a client over another driver takes a client of `pg`, too", async () => {
  const session = await database.connect();
  await session.query("begin");
  await ofDriver.inTransaction(session).addJob("t");
  await session.query("commit");
  expect(await count()).toBe(1);
});

it("a handler completes its job in a transaction that its driver knows", async () => {
  const task = defineTask({
    identifier: "completes",
    async run(payload: { readonly how: "commit" | "rollback" }, context) {
      const transaction = await driver.wire.begin();
      await context.complete(transaction as unknown as ApplicationTransaction);
      await transaction.finish(payload.how);
    },
  });
  await using worker = await createTestWorker(database, { tasks: [task], driver });
  await worker.client.addJob(task, { how: "commit" });
  await worker.client.addJob(task, { how: "rollback" });
  expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 1 });
  await worker.stop();
});
