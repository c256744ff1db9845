import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, silentLogger } from "../../../src/index.ts";
import { prometheus } from "../../../src/observe/prometheus.ts";
import { createDatabase } from "../../harness/database.ts";
import { addTo, emptyFlow, holdLane } from "../../harness/flow.ts";
import { parsePrometheusText } from "../../harness/prometheus-text.ts";

const database = await createDatabase();
const { connectionString } = database;
const client = await createClient({ connectionString, logger: silentLogger, migrate: false });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => emptyFlow(database));

const codes = async (id: string) => (await client.explainJob(id)).reasons.map(({ code }) => code);

describe("the list of queues", () => {
  it("shows what rules leave to a queue, and no lock for the one that it has for good", async () => {
    const [id = 0] = await addTo(database, "q", "q", "serial");
    await client.setQueuePool("api", { concurrency: 5 });
    await client.setQueueRules("q", { concurrency: 3, rate: { limit: 1, per: "1h" }, share: 4, pool: "api" });
    await holdLane(database, { queueId: id, lane: 2 });
    await database.sql("update howdah._howdah_buckets set next_at = '2100-01-01' where owner_id = $1", [id]);
    await database.sql("update howdah._private_job_queues set _howdah_parked_until = '2101-01-01' where id = $1", [id]);
    const { queues } = await client.listQueues();
    expect(queues).toMatchObject([
      {
        name: "q",
        lockedAt: null,
        lockedBy: null,
        limits: {
          rule: "q",
          concurrency: 3,
          running: 1,
          rate: { limit: 1, per: "1h", burst: 1 },
          share: 4,
          pool: "api",
          nextStartAt: new Date("2100-01-01T00:00:00Z"),
          parkedUntil: new Date("2101-01-01T00:00:00Z"),
          isWaiting: false,
        },
      },
      { name: "serial", limits: null },
    ]);
    const names = async (isLocked: boolean) => (await client.listQueues({ isLocked })).queues.map(({ name }) => name);
    expect([await names(true), await names(false)]).toEqual([["q"], ["serial"]]);
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null");
    expect([await names(true), await names(false)]).toEqual([[], ["q", "serial"]]);
  });

  it("shows how many run where there is no limit, and that a queue waits for other rules", async () => {
    const [id = 0] = await addTo(database, "q", "q");
    await client.setQueueRules("q", { concurrency: "unlimited" });
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w' where id = 1");
    const limits = async () => (await client.listQueues()).queues[0]?.limits;
    expect(await limits()).toMatchObject({ concurrency: "unlimited", running: 1, nextStartAt: null, isWaiting: false });
    expect(await client.setQueueRules("q", null)).toEqual({ changed: true, waiting: 1 });
    expect(await limits()).toMatchObject({ concurrency: "unlimited", running: 1, isWaiting: true });
    expect(id).toBe(1);
  });
});

describe("the backlog", () => {
  it("says how full pools are, of the hundred that were made first", async () => {
    await client.setQueuePool("z", { concurrency: 2 });
    await client.setQueuePool("a", { rate: { limit: 1, per: "1h" } });
    await database.sql("update howdah._howdah_buckets set next_at = '2100-01-01'");
    await database.sql(
      `update howdah._howdah_lanes set locked_at = now(), locked_by = 'w'
       where owner_id = (select -id from howdah._howdah_pools where name = 'z') and lane = 2`,
    );
    const nextStartAt = new Date("2100-01-01T00:00:00Z");
    const pools = [
      { name: "z", concurrency: 2, running: 1, nextStartAt: null },
      { name: "a", concurrency: "unlimited", running: null, nextStartAt },
    ];
    expect((await client.backlog()).pools).toEqual(pools);
    const plugin = prometheus();
    await using measured = await createClient({
      driver: database.driver,
      migrate: false,
      logger: silentLogger,
      plugins: [plugin],
    });
    const { samples } = parsePrometheusText(await plugin.registry.metrics());
    expect(
      samples.filter(({ name }) => name.startsWith("howdah_pool")).map(({ labels, value }) => [labels["pool"], value]),
    ).toEqual([
      ["z", 1],
      ["z", 2],
    ]);
    expect(measured).toBeDefined();
    await database.sql(
      "insert into howdah._howdah_pools (name, width) select 'm' || n, 0 from generate_series(1, 150) as n",
    );
    const many = (await client.backlog({ tasks: false })).pools;
    expect(many).toHaveLength(100);
    expect(many.slice(0, 2)).toEqual(pools);
  });
});

describe("why a job does not run", () => {
  it("tells the limit, the rate, the pool and the park of its queue", async () => {
    const [id = 0] = await addTo(database, "q", "q", "q");
    await client.setQueuePool("api", { concurrency: 1 });
    await client.setQueueRules("q", { concurrency: 1, rate: { limit: 1, per: "1h" }, pool: "api" });
    expect(await codes("1")).toEqual(["no_worker"]);
    await holdLane(database, { queueId: id, lane: 1 });
    await database.sql("update howdah._howdah_lanes set locked_at = now(), locked_by = 'w' where owner_id = -1");
    await database.sql("update howdah._howdah_buckets set next_at = now() + interval '1 h'");
    await database.sql("update howdah._private_job_queues set _howdah_parked_until = now() + interval '1 h'");
    expect(await codes("2")).toEqual(["no_worker", "parked", "limit", "rate", "pool"]);
    expect(await codes("3")).toEqual(["no_worker", "parked", "limit", "rate", "pool", "not_first"]);
    const [reason] = (await client.explainJob("2")).reasons.filter(({ code }) => code === "limit");
    expect(reason?.message).toBe("Its queue q runs 1 job at once, as many as its rules let run.");
  });
});
