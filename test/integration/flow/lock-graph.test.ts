import { afterAll, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { overfull } from "../../harness/shape-queues.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// Who waits for whom, while everything happens at once.
const database = await createDatabase();
const client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
afterAll(async () => {
  await client.close();
  await database.drop();
});

/** A session that waits, and one that it waits for, each by what it does. */
interface Edge {
  readonly waiter: number;
  readonly holder: number;
  readonly waits: string;
  readonly holds: string;
  readonly forMs: number;
}

const EDGES = `
  select waiting.pid as waiter, holding.pid as holder, waiting.query as waits, holding.query as holds,
    extract(epoch from clock_timestamp() - waiting.query_start) * 1000 as "forMs"
  from pg_stat_activity as waiting
  cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocker(pid)
  join pg_stat_activity as holding on holding.pid = blocker.pid
  where waiting.datname = current_database() and waiting.wait_event_type = 'Lock'`;

/** What a statement does, by the functions that it calls. */
function kindOf(query: string): string {
  const releases = query.includes("_howdah_release") || query.includes("_howdah_renew");
  const claims = query.includes("_howdah_claim");
  if (releases) return claims ? "release and claim" : "release";
  if (claims) return "claim";
  if (/set_rules|apply_rules|set_pool|pause_queue|resume_queue/.test(query)) return "change";
  if (/force_unlock|sweep|recover|free_queues|free_lanes/.test(query)) return "recovery";
  return query.slice(0, 60);
}

/** Whether the edges of one moment close a circle. */
function hasCircle(edges: readonly Edge[]): boolean {
  const next = new Map<number, number[]>();
  for (const { waiter, holder } of edges) next.set(waiter, [...(next.get(waiter) ?? []), holder]);
  const reaches = (from: number, to: number, seen: Set<number>): boolean =>
    (next.get(from) ?? []).some((pid) => pid === to || (!seen.has(pid) && reaches(pid, to, seen.add(pid))));
  return [...next.keys()].some((pid) => reaches(pid, pid, new Set()));
}

it("no session waits in a circle, no claim waits at all, and a release for a moment at most", async () => {
  const queues = Array.from({ length: 8 }, (_, n) => (n < 6 ? `k${n}` : `serial ${n}`));
  await client.setQueuePool("shared", { concurrency: 9 });
  await client.setQueueRules("k*", { concurrency: 3, pool: "shared" });
  const task = defineTask({
    identifier: "work",
    retry: { type: "fixed", delay: 0 },
    async run({ fails }: { fails: boolean }, { job }) {
      await systemClock.sleep(2);
      if (fails && job.attempts === 1) throw new Error("as told");
    },
  });
  const workers = await Promise.all(
    [{}, { readAhead: false }, { localQueue: { size: 20 } }].map((options) =>
      createTestWorker(database, { tasks: [task], concurrency: 4, ...options }),
    ),
  );
  const errors = workers.map((worker) => record(worker.hooks, "workerError"));
  const running = workers.map((worker) => worker.run());
  const endsAt = systemClock.monotonic() + 8_000;
  const goesOn = (): boolean => systemClock.monotonic() < endsAt;

  const adding = (async () => {
    for (let n = 0; goesOn(); n += 1) {
      await client.addJobs(
        Array.from({ length: 60 }, (_, index) => ({
          task,
          payload: { fails: index % 10 === 0 },
          spec: { queueName: queues[index % queues.length] ?? "" },
        })),
      );
      await systemClock.sleep(60);
    }
  })();
  const changing = (async () => {
    const shapes = [
      { concurrency: 3 },
      { concurrency: 1 },
      { concurrency: 5 },
      { concurrency: "unlimited" },
      null,
    ] as const;
    for (let n = 0; goesOn(); n += 1) {
      const queue = `k${n % 6}`;
      const shape = shapes[n % shapes.length];
      await client.setQueueRules(queue, shape ? { ...shape, pool: "shared" } : null);
      await client.pauseQueue(queue);
      await client.resumeQueue(queue);
      if (n % 10 === 0) await client.setQueuePool("shared", { concurrency: n % 20 === 0 ? 4 : 9 });
      if (n % 25 === 0) await client.forceUnlockWorkers([workers[n % workers.length]?.id ?? ""]);
      await systemClock.sleep(15);
    }
  })();
  const edges: Edge[] = [];
  let samples = 0;
  const sampling = (async () => {
    const session = await database.connect();
    while (goesOn()) {
      const { rows } = await session.query<Edge>(EDGES);
      samples += 1;
      edges.push(...rows);
      expect(hasCircle(rows)).toBe(false);
    }
  })();
  await Promise.all([adding, changing, sampling]);
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all(running);

  expect(samples).toBeGreaterThan(100);
  const seen = edges.map(({ waits, holds, forMs }) => ({
    waits: kindOf(waits),
    holds: kindOf(holds),
    forMs: Number(forMs),
  }));
  expect(seen.filter(({ waits }) => waits === "claim")).toEqual([]);
  const ofReleases = seen.filter(({ waits }) => waits.startsWith("release"));
  for (const { forMs } of ofReleases) expect(forMs).toBeLessThan(400);
  expect(seen.filter(({ waits, holds }) => waits.startsWith("release") && holds === "claim")).toEqual([]);
  const deadlocks = errors
    .flatMap(({ events }) => events)
    .filter(({ error }) => (error as { code?: string }).code === "40P01");
  expect(deadlocks).toEqual([]);
  expect(await overfull(database)).toEqual([]);
}, 60_000);
