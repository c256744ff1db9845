import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

const PROCESSES = 3;
const QUEUES = 200;
const JOBS = 5_000;
const SEED = 20_260_101;

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = await createClient({ connectionString: database.connectionString, logger: silentLogger });
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

/** One call of a handler, as the fixture writes it. */
interface Run {
  readonly number: number;
  readonly queue: string;
  readonly attempt: number;
  readonly isFailed: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Numbers from 0 to 1, the same for one seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function createPayloads() {
  const random = createRandom(SEED);
  return Array.from({ length: JOBS }, (_, number) => {
    const chance = random();
    const failures = chance < 0.02 ? 2 : chance < 0.1 ? 1 : 0;
    return { number, queue: `q${Math.floor(random() * QUEUES)}`, takesMs: Math.floor(random() * 4), failures };
  });
}

describe(`${PROCESSES} processes with ${JOBS} jobs in ${QUEUES} queues, some of which fail`, () => {
  const payloads = createPayloads();
  let byProcess: Run[][] = [];
  let runs: Run[] = [];

  beforeAll(async () => {
    const options = JSON.stringify({
      connectionString: database.connectionString,
      concurrency: 10,
      pollInterval: "100ms",
    });
    const fixture = new URL("../fixtures/record-runs.mjs", import.meta.url);
    const processes = await Promise.all(
      Array.from({ length: PROCESSES }, () => startNode(fixture, { args: [options] })),
    );
    for (const process of processes) await process.line("ready");
    await client.addJobs(payloads.map((payload) => ({ task: "work", payload, spec: { queueName: payload.queue } })));
    await until(async () => (await database.sql("select from howdah._private_jobs limit 1")).length === 0, {
      message: "the last job to be done",
      deadlineMs: 50_000,
    });
    for (const process of processes) process.kill("SIGTERM");
    byProcess = await Promise.all(
      processes.map(async (process) => {
        await process.ended;
        return JSON.parse(process.lines.at(-1) ?? "[]") as Run[];
      }),
    );
    runs = byProcess.flat().toSorted((a, b) => a.startedAt - b.startedAt);
  });

  it("share the work", () => {
    expect(byProcess.filter((own) => own.length > 0)).toHaveLength(PROCESSES);
  });

  it("run each attempt once, and complete each job once", () => {
    const found = runs.map(({ number, attempt, isFailed }) => `${number}/${attempt}/${isFailed}`);
    const planned = payloads.flatMap(({ number, failures }) =>
      Array.from({ length: failures + 1 }, (_, index) => `${number}/${index + 1}/${index < failures}`),
    );
    expect(found.toSorted()).toEqual(planned.toSorted());
  });

  it("never run two jobs of one queue at once", () => {
    const overlaps: [Run, Run][] = [];
    const last = new Map<string, Run>();
    for (const run of runs) {
      const before = last.get(run.queue);
      if (before && before.endedAt > run.startedAt) overlaps.push([before, run]);
      last.set(run.queue, run);
    }
    expect(last.size).toBe(QUEUES);
    expect(overlaps).toEqual([]);
  });

  it("keep the order of each queue among the jobs that did not fail", () => {
    const smooth = new Set(payloads.filter(({ failures }) => failures === 0).map(({ number }) => number));
    const outOfOrder: [Run, Run][] = [];
    const last = new Map<string, Run>();
    for (const run of runs.filter(({ number }) => smooth.has(number))) {
      const before = last.get(run.queue);
      if (before && before.number > run.number) outOfOrder.push([before, run]);
      last.set(run.queue, run);
    }
    expect(outOfOrder).toEqual([]);
  });

  it("leave nothing locked", async () => {
    expect(await database.sql("select from howdah._private_jobs")).toHaveLength(0);
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toHaveLength(0);
  });
});
