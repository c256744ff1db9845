import type pg from "pg";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createWorker, defineTask } from "../../../src/index.ts";
import type { Wanted } from "../../../src/job/claim/claim-plan.ts";
import { Claimer } from "../../../src/job/claim/claimer.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import type { Identity } from "../../../src/job/identity.ts";
import type { Statements } from "../../../src/postgres/queries/statements.ts";
import { workerContext } from "../../harness/worker-context.ts";
import { createClaims, empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => empty(database));

describe("an idle worker", () => {
  it("comes to rest at one statement a poll, also after it has worked through queues", async () => {
    let statements = 0;
    const counting: Driver = {
      query(query) {
        statements += 1;
        return database.driver.query(query);
      },
      transaction: (work) => database.driver.transaction(work),
      listen: (channels, handlers) => database.driver.listen(channels, handlers),
      close: () => Promise.resolve(),
    };
    const pollIntervalMs = 100;
    const task = defineTask({ identifier: "t", run: () => {} });
    await using worker = await createWorker({
      driver: counting,
      tasks: [task],
      pollInterval: pollIntervalMs,
      concurrency: 3,
      logger: silentLogger,
    });
    await database.sql("select howdah.add_job('t', queue_name => 'q' || n) from generate_series(1, 50) as n");
    const running = worker.run();
    await until(async () => (await database.sql("select from howdah._private_jobs limit 1")).length === 0);

    // A window that a busy machine cuts short is gone on with early, so not every spell is quiet.
    await until(
      async () => {
        statements = 0;
        const startedAt = systemClock.monotonic();
        await until(() => statements >= 15);
        return statements / ((systemClock.monotonic() - startedAt) / pollIntervalMs) < 1.5;
      },
      { deadlineMs: 20_000, message: "a spell with at most 1.5 statements a poll" },
    );
    await worker.stop();
    await running;
  });
});

/** How many blocks of the jobs and their indexes the session has looked at and not reported yet, as it does at a commit. */
async function blocksRead(session: pg.Client): Promise<number> {
  const { rows } = await session.query(`
    select sum(pg_stat_get_xact_blocks_fetched(oid))::int as blocks from pg_class
    where oid = 'howdah._private_jobs'::regclass
      or oid in (select indexrelid from pg_index where indrelid = 'howdah._private_jobs'::regclass)`);
  return (rows as { blocks: number }[])[0]?.blocks ?? 0;
}

interface Drain extends Wanted {
  /** How many there are that can be claimed. */
  readonly jobs: number;
  /** What happens after each release, before the claimer is told that the queues are free. */
  readonly beforeTold?: (claim: () => Promise<void>) => Promise<void>;
}

/** Claims and completes jobs until all are done, and tells how many blocks each claim looked at. */
async function drain({ jobs: total, beforeTold, ...wanted }: Drain): Promise<number[]> {
  const session = await database.connect();
  const claims = await createClaims(database, "w", session);
  const context = workerContext({
    // No time passes, not even while a claimer rests.
    clock: Object.assign(createManualClock(), { sleep: () => Promise.resolve() }),
    identity: { current: "w" } as Identity,
    statements: {
      // A window starts anywhere: here at the first queue, so that it meets the same ones each time.
      claim: (request) =>
        claims.claim({ ...request, windowAfter: request.windowAfter === -1 ? 0 : request.windowAfter }),
    } as Statements,
  });
  const claimer = new Claimer(context, {
    unstarted: { keep: (chains) => chains, giveBack: () => expect.unreachable() },
  });
  const blocks: number[] = [];
  async function claim() {
    await session.query("begin");
    const before = await blocksRead(session);
    const claimed = await claimer.claim(wanted);
    blocks.push((await blocksRead(session)) - before);
    await session.query("commit");
    return claimed;
  }

  for (let done = 0; done < total;) {
    const { chains, more } = await claim();
    const jobs = chains.flatMap((chain) => chain.rest);
    if (jobs.length === 0) {
      expect(more).toBe(true);
      continue;
    }
    const chainEnds = chains.flatMap(({ queueId, rest }) => {
      const last = rest.at(-1);
      return queueId !== null && last ? [{ queueId, lastJobId: last.id, claimedAt: last.claimedAt }] : [];
    });
    const claimTimes = [...new Set(jobs.map(({ claimedAt }) => claimedAt))];
    await claims.release({ claimTimes, completed: jobs.map(({ id }) => id), chainEnds });
    done += jobs.length;
    await beforeTold?.(async () => expect(await claim()).toMatchObject({ chains: [] }));
    claimer.announce({ queueIds: chainEnds.map(({ queueId }) => queueId) });
  }
  return blocks;
}

const sumOf = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

describe("the claims of one queue, whose due jobs come after 40,000 of tasks that this worker does not run", () => {
  const JOBS = 60;
  const FOREIGN = 40_000;
  /** More than a part of what became due, and less than the jobs of other tasks in one queue. */
  const MANY_BLOCKS = 900;

  async function fill(foreignQueues: number): Promise<void> {
    await database.sql(
      "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(0, 99) n",
    );
    await database.sql(
      `insert into howdah._private_jobs (task_id, job_queue_id, run_at)
       select 999, 100 - n % $1, now() - interval '1 hour' from generate_series(1, ${FOREIGN}) as n
       union all select 1, 100, now() - interval '1 minute' from generate_series(1, ${JOBS})`,
      [foreignQueues],
    );
  }

  it.each([
    ["in the same queue", 1, 0],
    ["in a hundred queues", 100, 0],
    ["in a hundred queues, with statistics from when all were in one", 100, 1],
  ])("walk past them once, %s, also while the end of a chain is not told yet", async (_, queues, queuesBefore) => {
    if (queuesBefore > 0) {
      await fill(queuesBefore);
      await database.sql("analyze howdah._private_jobs");
      await empty(database);
    }
    await fill(queues);
    const one = { jobs: JOBS, quantity: 24, chainLength: 1, mostQueues: 24 };
    const blocks = await drain({ ...one, beforeTold: (claim) => claim() });
    expect(blocks.length).toBeGreaterThanOrEqual(2 * JOBS);
    // The window of the first one goes as far as its time allows, at least through sixteen queues: a block for each job.
    expect(sumOf(blocks)).toBeLessThan(1.2 * FOREIGN);
    expect(blocks.slice(1).filter((count) => count > MANY_BLOCKS)).toEqual([]);
    // All that was due before is seen by now.
    expect(Math.max(...blocks.slice(-JOBS))).toBeLessThan(MANY_BLOCKS / 10);
  });
});

describe("beside a snapshot that keeps every dead row", () => {
  async function drainBeside(wanted: Drain): Promise<number[]> {
    const pinned = await database.connect();
    await pinned.query("begin isolation level repeatable read");
    await pinned.query("select");
    const blocks = await drain(wanted);
    await pinned.query("rollback");
    return blocks;
  }

  /** What the last fifth of the claims cost beside the first. */
  function growth(blocks: readonly number[]): number {
    const length = blocks.length / 5;
    return sumOf(blocks.slice(-length)) / sumOf(blocks.slice(0, length));
  }

  it("reads as much for the last fifth of 50,000 jobs of two priorities as for the first", async () => {
    await database.sql(
      "insert into howdah._private_jobs (task_id, priority) select 1, n % 2 from generate_series(1, 50000) as n",
    );
    const blocks = await drainBeside({ jobs: 50_000, quantity: 500, chainLength: 1, mostQueues: 500 });
    expect(blocks).toHaveLength(100);
    expect(growth(blocks)).toBeLessThan(1.3);
  });

  it.each([
    ["20,000 jobs of one queue, in chains", { jobs: 20_000, chainLength: 100, mostQueues: 1 }],
    [
      "20,000 jobs of one queue, where a claim could take a hundred",
      { jobs: 20_000, chainLength: 100, mostQueues: 100 },
    ],
    ["1,000 jobs of one queue, one by one", { jobs: 1_000, chainLength: 1, mostQueues: 1 }],
  ])("reads as much for the last fifth of %s as for the first", { timeout: 60_000 }, async (_, wanted) => {
    const { jobs, chainLength } = wanted;
    await database.sql("insert into howdah._private_job_queues (queue_name) values ('q')");
    await database.sql(
      "insert into howdah._private_jobs (task_id, job_queue_id) select 1, 1 from generate_series(1, $1)",
      [jobs],
    );
    // One statement after the other, thousands of them.
    const blocks = await drainBeside({ ...wanted, quantity: chainLength });
    expect(blocks).toHaveLength(jobs / chainLength);
    expect(growth(blocks)).toBeLessThan(1.3);
  });
});
