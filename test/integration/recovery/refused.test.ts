import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RecoveryOptions } from "../../../src/job/recover/options.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase } from "../../harness/database.ts";
import { addDeadJob, FAST_RECOVERY, registerDead, registered } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("drop function if exists public.refuse() cascade");
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
  await database.sql("update howdah._howdah_sweeper set orphans_at = '-infinity'");
});

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

const DEAD = "howdah_0123456789abcdef01";
const OTHER = "howdah_0123456789abcdef02";

const HASTY: RecoveryOptions = {
  ...FAST_RECOVERY,
  heartbeatInterval: "100ms",
  sweepInterval: "50ms",
  contactTimeout: "200ms",
  queueDelay: "500ms",
};

/** What happens when a row is to be given back whose payload says "poison". */
async function poison(body: string, { deferred = false } = {}): Promise<void> {
  await database.sql(`
    create function public.refuse() returns trigger language plpgsql as $$ begin
      if old.payload::text like '%poison%' and old.locked_by is not null and new.locked_by is null then ${body}; end if;
      return new;
    end $$`);
  await database.sql(
    deferred
      ? `create constraint trigger refuse after update on howdah._private_jobs deferrable initially deferred
         for each row execute function public.refuse()`
      : `create trigger refuse before update on howdah._private_jobs for each row execute function public.refuse()`,
  );
}

const raise = (state: string) => `raise exception 'no' using errcode = '${state}'`;
const mend = () => database.sql("drop function public.refuse() cascade");

async function addPoisoned(workerId = DEAD, queueName: string | null = null): Promise<string> {
  return addDeadJob(database, workerId, { queueName, changes: `payload = '{"poison": true}', attempts = 7` });
}

async function startWatcher(options: Partial<WorkerOptions> = {}) {
  const idle = defineTask({ identifier: "idle", run: () => undefined });
  const logger = createRecordingLogger();
  const worker = await createTestWorker(database, { tasks: [idle], recovery: HASTY, logger, ...options });
  workers.push(worker);
  const errors = record(worker.hooks, "workerError");
  return { worker, logger, errors, running: worker.run() };
}

const job = async (id: string) => (await database.sql("select * from howdah._private_jobs where id = $1", [id]))[0];
const holderOf = async (id: string) => (await job(id))?.["locked_by"];
const freed = (...ids: string[]) =>
  until(async () => (await Promise.all(ids.map(holderOf))).every((holder) => holder === null), {
    message: `jobs ${ids.join(", ")} are given back`,
    deadlineMs: 30_000,
  });
const buried = (id = DEAD) => until(async () => (await registered(database, id)) === undefined, { deadlineMs: 30_000 });
const jobErrors = ({ events }: { readonly events: readonly { readonly activity: string }[] }) =>
  events.filter(({ activity }) => activity.startsWith("return job"));

describe("a job of a dead worker whose recovery is refused", () => {
  it.each([
    ["P0001", raise("P0001")],
    ["40001", raise("40001")],
    ["57014", raise("57014")],
    ["P0004, which handlers of others do not see", raise("P0004")],
    ["25006", raise("25006")],
    ["08006", raise("08006")],
    ["53100", raise("53100")],
    ["42P01", "perform from public.not_there"],
    ["a missing right", raise("42501")],
    ["a trigger that keeps the row without a word", "return old"],
    ["a trigger that returns null", "return null"],
  ])("%s: holds up no other job, queue or worker, and is given back when that is over", async (_, body) => {
    await poison(body);
    await registerDead(database, DEAD);
    await registerDead(database, OTHER);
    const poisoned = await addPoisoned();
    const loose = await addDeadJob(database, DEAD);
    const queued = await addDeadJob(database, DEAD, { queueName: "q" });
    const others = await addDeadJob(database, OTHER, { queueName: "r" });
    const { worker, logger, errors } = await startWatcher();
    await freed(loose, queued, others);
    await until(async () => (await worker.client.listQueues()).queues.every(({ lockedBy }) => lockedBy === null));
    await buried(OTHER);
    expect(await job(poisoned)).toMatchObject({ locked_by: DEAD, attempts: 7, last_error: null });
    expect(worker.metrics().unrecovered).toBe(1);
    // It has been tried several times by now, and is told once.
    expect(jobErrors(errors)).toMatchObject([
      { activity: `return job ${poisoned} of worker ${DEAD}`, error: expect.any(Error) as Error },
    ]);
    expect(logger.entries.filter(({ fields }) => fields["job"] === poisoned)).toHaveLength(1);
    expect(await registered(database, DEAD)).toBeDefined();
    await mend();
    await freed(poisoned);
    expect(await job(poisoned)).toMatchObject({ attempts: 6, _howdah_recoveries: 1 });
    await buried();
    await until(() => worker.metrics().unrecovered === 0);
  });

  it("is found when a constraint asks at the commit only", async () => {
    await poison(raise("23514"), { deferred: true });
    await registerDead(database, DEAD);
    const poisoned = await addPoisoned();
    const loose = await addDeadJob(database, DEAD);
    const { errors } = await startWatcher();
    await freed(loose);
    await until(() => jobErrors(errors).length > 0);
    expect(await holderOf(poisoned)).toBe(DEAD);
    await mend();
    await buried();
  });

  it("is found when it is slow and the server ends the statement", async () => {
    await poison("perform pg_sleep(60)");
    await registerDead(database, DEAD);
    const first = await addDeadJob(database, DEAD);
    const poisoned = await addPoisoned();
    const last = await addDeadJob(database, DEAD);
    const { errors } = await startWatcher({ statementTimeout: "300ms" });
    await freed(first, last);
    await until(() => jobErrors(errors).length > 0);
    expect(errors.events).toMatchObject([{ activity: `return job ${poisoned} of worker ${DEAD}` }]);
    await mend();
    await freed(poisoned);
  });

  it("keeps its own queue, and is asked about by hooks all the same", async () => {
    await poison(raise("P0001"));
    await registerDead(database, DEAD);
    const poisoned = await addPoisoned(DEAD, "q");
    const free = await addDeadJob(database, DEAD, { queueName: "r" });
    const { worker, errors } = await startWatcher();
    const interrupted = record(worker.hooks, "jobInterrupted");
    worker.hooks.on("jobRecovery", ({ job: { id } }) => {
      return id === free ? { action: "reschedule", runAt: new Date("2200-01-01") } : undefined;
    });
    await freed(free);
    await until(async () => {
      const queues = (await worker.client.listQueues()).queues;
      return queues.find(({ name }) => name === "r")?.lockedBy === null;
    });
    expect((await worker.client.listQueues()).queues.find(({ name }) => name === "q")?.lockedBy).toBe(DEAD);
    expect(interrupted.events.map((event) => event.job.id)).toEqual([free]);
    expect(jobErrors(errors)).toHaveLength(1);
    await mend();
    await freed(poisoned);
    expect(await job(free)).toMatchObject({ run_at: new Date("2200-01-01") });
    await buried();
  });

  it("is told again when it is refused for another reason", async () => {
    await poison(raise("P0001"));
    await registerDead(database, DEAD);
    await addPoisoned();
    const { errors } = await startWatcher();
    await until(() => jobErrors(errors).length === 1);
    await mend();
    await poison(raise("23514"));
    await until(() => jobErrors(errors).length === 2, { deadlineMs: 30_000 });
    expect(jobErrors(errors)).toMatchObject([{ error: { code: "P0001" } }, { error: { code: "23514" } }]);
  });

  it("costs one statement a try, however many there are", async () => {
    await poison(raise("P0001"));
    await registerDead(database, DEAD);
    await database.sql("insert into howdah._private_tasks (identifier) values ('quick') on conflict do nothing");
    await database.sql(
      `insert into howdah._private_jobs (task_id, payload, locked_at, locked_by, attempts)
       select task.id, (case when n <= 1000 then '{"poison": true}' else '{}' end)::json, now(), $1, 1
       from (select id from howdah._private_tasks limit 1) as task, generate_series(1, 1500) as n
`,
      [DEAD],
    );
    let statements = 0;
    const { driver } = database;
    const { worker, errors } = await startWatcher({
      driver: {
        ...driver,
        query(query) {
          if (query.text.includes("_howdah_recover_v1")) statements += 1;
          return driver.query(query);
        },
        transaction: (work) => driver.transaction(work),
        listen: (channels, handlers) => driver.listen(channels, handlers),
        close: () => Promise.resolve(),
      },
    });
    await until(() => worker.metrics().unrecovered === 1_000, { deadlineMs: 30_000 });
    expect(statements).toBe(1);
    expect(jobErrors(errors)).toHaveLength(1_000);
    const [left] = await database.sql(
      "select count(*)::int as held from howdah._private_jobs where locked_by is not null",
    );
    expect(left).toEqual({ held: 1_000 });
  });

  it("is stepped over by two sweepers at once, and the rest is given back once", async () => {
    await poison(raise("P0001"));
    await registerDead(database, DEAD);
    const poisoned = await addPoisoned();
    const loose = await addDeadJob(database, DEAD);
    await Promise.all([startWatcher(), startWatcher()]);
    await freed(loose);
    await until(async () => (await registered(database, DEAD))?.["_howdah_swept"] === 3);
    expect(await job(loose)).toMatchObject({ attempts: 0, _howdah_recoveries: 1 });
    await mend();
    await freed(poisoned);
    expect(await job(poisoned)).toMatchObject({ attempts: 6, _howdah_recoveries: 1 });
  });
});

describe("other rows of the dead that are refused", () => {
  const refuse = async (table: string, event: string, condition: string) => {
    await database.sql(`create function public.refuse() returns trigger language plpgsql as $$ begin
        if ${condition} then raise exception 'not this one'; end if;
        return coalesce(new, old);
      end $$`);
    await database.sql(
      `create trigger refuse before ${event} on howdah.${table} for each row execute function public.refuse()`,
    );
  };

  it("a queue holds up no other queue, is told once, and is freed when that is over", async () => {
    await refuse("_private_job_queues", "update", "old.queue_name = 'bad' and new.locked_by is null");
    await registerDead(database, DEAD);
    for (const queueName of ["bad", "good"]) await freed(await given(queueName));
    const { worker, errors } = await startWatcher();
    const lockedBy = async (name: string) =>
      (await worker.client.listQueues()).queues.find((queue) => queue.name === name)?.lockedBy;
    await until(async () => (await lockedBy("good")) === null, { deadlineMs: 30_000 });
    expect(await lockedBy("bad")).toBe(DEAD);
    await until(() => errors.events.length > 0);
    expect(errors.events).toMatchObject([{ activity: expect.stringMatching(/^return queue \d+ of worker/) as string }]);
    await mend();
    await buried();
    expect(await lockedBy("bad")).toBeNull();
  });

  /** A queue that is locked without a job. */
  async function given(queueName: string): Promise<string> {
    const id = await addDeadJob(database, DEAD, { queueName });
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null where id = $1", [id]);
    return id;
  }

  it.each([
    ["being declared dead", "update", `old.id = '${DEAD}' and old._howdah_swept = 0 and new._howdah_swept = 1`],
    ["how far its recovery has gone", "update", `old.id = '${DEAD}' and new._howdah_swept = 2`],
    ["its removal", "delete", `old.id = '${DEAD}'`],
  ])("the registration of a worker, %s: holds up no other worker and is told once", async (_, event, condition) => {
    await refuse("_private_workers", event, condition);
    await registerDead(database, DEAD);
    await registerDead(database, OTHER);
    await addDeadJob(database, DEAD);
    const others = await addDeadJob(database, OTHER);
    const { errors } = await startWatcher();
    await freed(others);
    await buried(OTHER);
    await until(() => errors.events.length > 0, { deadlineMs: 30_000 });
    expect(errors.events).toMatchObject([{ activity: `recover what worker ${DEAD} held` }]);
    await mend();
    await buried();
  });

  it("many for the same reason are told in one line", async () => {
    await refuse("_private_workers", "update", "new._howdah_swept = 1");
    for (const id of [DEAD, OTHER]) await registerDead(database, id);
    const { errors } = await startWatcher();
    await until(() => errors.events.length > 0);
    expect(errors.events).toMatchObject([
      { activity: expect.stringMatching(/^recover what worker howdah_\w+, howdah_\w+ held$/) as string },
    ]);
  });
});

describe("a sweep at the word of an operator", () => {
  it("gives back all but what is refused, and names that", async () => {
    await poison(raise("P0001"));
    for (const id of [DEAD, OTHER]) {
      await registerDead(database, id);
      await database.sql(
        "update howdah._private_workers set last_heartbeat_at = now() - interval '1 hour' where id = $1",
        [id],
      );
    }
    const poisoned = await addPoisoned(DEAD, "q");
    const loose = await addDeadJob(database, DEAD, { queueName: "r" });
    const others = await addDeadJob(database, OTHER);
    const { client } = await createIdle();
    expect(await client.sweepStaleWorkers()).toEqual({
      workerIds: [DEAD, OTHER],
      jobCount: 2,
      refused: [{ kind: "job", id: poisoned, workerId: DEAD, state: "P0001", message: "no" }],
    });
    await freed(loose, others);
    expect(await registered(database, OTHER)).toBeUndefined();
    expect((await client.listQueues()).queues.map(({ name, lockedBy }) => [name, lockedBy])).toEqual([
      ["q", DEAD],
      ["r", null],
    ]);
    await mend();
    expect(await client.sweepStaleWorkers()).toEqual({ workerIds: [DEAD], jobCount: 1, refused: [] });
    expect(await registered(database, DEAD)).toBeUndefined();
  });

  it.each([
    ["update", 0],
    ["delete", 1],
  ])("is not held up by the registration of one worker (%s)", async (event, jobCount) => {
    await database.sql(`create function public.refuse() returns trigger language plpgsql as $$ begin
        if old.id = '${DEAD}' then raise exception 'not this one'; end if;
        return coalesce(new, old);
      end $$`);
    for (const id of [DEAD, OTHER]) {
      await registerDead(database, id);
      await database.sql(
        "update howdah._private_workers set last_heartbeat_at = now() - interval '1 hour' where id = $1",
        [id],
      );
      await addDeadJob(database, id);
    }
    await database.sql(
      `create trigger refuse before ${event} on howdah._private_workers for each row execute function public.refuse()`,
    );
    const { client } = await createIdle();
    expect(await client.sweepStaleWorkers()).toMatchObject({
      jobCount: 1 + jobCount,
      refused: [{ kind: "worker", id: DEAD, workerId: DEAD, state: "P0001", message: "not this one" }],
    });
    expect(await registered(database, OTHER)).toBeUndefined();
  });

  async function createIdle(): Promise<Worker> {
    const worker = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "idle", run: () => undefined })],
      recovery: false,
    });
    workers.push(worker);
    return worker;
  }
});
