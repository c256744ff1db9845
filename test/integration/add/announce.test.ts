import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type pg from "pg";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;
let listener: pg.Client;
let heard: { count: number; schema: string; at: number; queues: number[] }[] = [];

beforeAll(async () => {
  database = await createDatabase();
  client = await createClient({ connectionString: database.connectionString, logger: silentLogger });
  listener = await database.connect();
  listener.on("notification", ({ payload }) => heard.push(JSON.parse(payload ?? "") as (typeof heard)[number]));
  await listener.query('listen "jobs:insert"');
});

afterEach(() => {
  heard = [];
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

/** Everything that was notified before this has arrived when it resolves. */
async function allHeard(): Promise<void> {
  await database.sql("select pg_notify('jobs:insert', '{\"count\":-1}')");
  await until(() => heard.some(({ count }) => count === -1));
  heard = heard.filter(({ count }) => count !== -1);
}

const told = (): number => heard.reduce((sum, { count }) => sum + count, 0);

describe("adds of a client", () => {
  it("are told after their commit, with schema, time and queue", async () => {
    const job = await client.addJob("t", {}, { queueName: "mail" });
    await until(() => heard.length > 0);
    const [{ id: queueId }] = (await database.sql("select id from howdah._private_job_queues")) as [{ id: number }];
    expect(heard).toEqual([
      expect.objectContaining({ count: 1, schema: "howdah", at: expect.any(Number), queues: [queueId] }),
    ]);
    expect(Math.floor((heard[0]?.at ?? 0) / 1000)).toBe(job.runAt.getTime());
  });

  it("are all told when many come at once, in fewer notifications than adds", async () => {
    await Promise.all(Array.from({ length: 200 }, () => client.addJob("t")));
    await until(() => told() >= 200);
    await allHeard();
    expect(told()).toBe(200);
    expect(heard.length).toBeLessThan(200);
  });

  it.each(
    BULK_ADDS.flatMap(([name, addAll]) => [
      { way: name, addAll, spec: {} },
      { way: `${name} with keys`, addAll, spec: { jobKey: name } },
    ]),
  )("count each job of $way that is due", async ({ addAll, spec }) => {
    const later = { runAt: new Date("2100-01-01T00:00:00Z") };
    await addAll(client, [{ identifier: "t", spec }, { identifier: "t", spec: later }, { identifier: "t" }]);
    await until(() => heard.length > 0);
    await allHeard();
    expect(told()).toBe(2);
  });

  it.each(BULK_ADDS)("are told by %s with their queues, and where all are plain", async (_, addAll) => {
    await addAll(client, [{ identifier: "t" }, { identifier: "t", spec: { queueName: "mail" } }]);
    await addAll(client, [{ identifier: "t" }, { identifier: "t" }]);
    await until(() => told() === 4);
    const [row] = await database.sql("select id from howdah._private_job_queues where queue_name = 'mail'");
    expect(heard.flatMap(({ queues }) => queues)).toEqual([row?.["id"]]);
    await allHeard();
    expect(told()).toBe(4);
  });

  it("are not told when they are due later", async () => {
    await client.addJob("t", {}, { runAt: new Date("2100-01-01T00:00:00Z") });
    await allHeard();
    expect(heard).toEqual([]);
  });

  it("are told by the commit of the transaction they were added in, and not by its rollback", async () => {
    const session = await database.connect();
    await session.query("begin");
    await client.inTransaction(session).addJob("t");
    await allHeard();
    expect(heard).toEqual([]);
    await session.query("rollback");
    await session.query("begin");
    await client.inTransaction(session).addJob("t");
    await session.query("commit");
    await until(() => heard.length > 0);
    await allHeard();
    expect(told()).toBe(1);
  });

  it("are told before close() resolves", async () => {
    const another = await createClient({ connectionString: database.connectionString, logger: silentLogger });
    await Promise.all([another.addJob("t"), another.addJob("t"), another.addJob("t")]);
    await another.close();
    await allHeard();
    expect(told()).toBe(3);
  });
});
