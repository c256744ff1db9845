import { stripVTControlCharacters } from "node:util";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import type { JobReason, JobReasonCode } from "../../../src/client/why/explain-job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { withBrokenClaims } from "../../harness/broken-claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { addDeadJob, PATIENT_RECOVERY, registerDead, startWorkerProcess } from "../../harness/recovery.ts";
import { runCli } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker } from "../../harness/worker.ts";

// Each reason, with the state made for real.
const database = await createDatabase();
const client = clientOver({ ...database, logger: silentLogger });
const started: { readonly worker: Worker; readonly running: Promise<void>; readonly end: () => void }[] = [];

beforeEach(() =>
  database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers, howdah._howdah_paused_tasks",
  ),
);
afterEach(async () => {
  for (const { worker, running, end } of started.splice(0)) {
    end();
    await worker.stop();
    await running;
  }
});
afterAll(() => database.drop());

const OPTIONS = { pollInterval: "50ms", recovery: { ...PATIENT_RECOVERY, heartbeatInterval: "100ms" } } as const;

/** A worker whose jobs run until the test ends, or until they are opened. */
async function start(options: Partial<WorkerOptions> = {}, identifier = "held") {
  const held = createHeldTask(identifier, (_, { signal }) => signal.throwIfAborted());
  const worker = await createTestWorker(database, { ...OPTIONS, tasks: [held.task], concurrency: 2, ...options });
  started.push({ worker, running: worker.run(), end: held.openAll });
  await until(async () => (await client.listActiveWorkers()).some(({ id, report }) => id === worker.id && report));
  return { worker, ...held };
}

/** The reasons once the first one has this code: what workers say is one heartbeat old. */
async function why(id: string, code: JobReasonCode): Promise<readonly JobReason[]> {
  let found: readonly JobReason[] = [];
  await until(
    async () => {
      found = (await client.explainJob(id)).reasons;
      return found[0]?.code === code;
    },
    { message: `the reason ${code}` },
  ).catch(() => expect(found.map((reason) => reason.code)).toEqual([code]));
  await assertToldByCommand(id, found);
  return found;
}

/** Whether `howdah why` says the same, to programs and to people. */
async function assertToldByCommand(id: string, reasons: readonly JobReason[]): Promise<void> {
  const call = ["why", id, "--database-url", database.connectionString];
  const { out } = await runCli([...call, "--json"]);
  const told = (JSON.parse(out) as { readonly reasons: readonly JobReason[] }).reasons;
  const compared = ({ code, workerId, jobId }: JobReason) => ({ code, workerId, jobId });
  expect(told.map(compared)).toEqual(reasons.map(compared));
  const people = await runCli(call, { columns: 100 });
  for (const { remedy } of reasons) expect(stripVTControlCharacters(people.out)).toContain(remedy);
}

const add = async (payload: string, spec: Parameters<typeof client.addJob>[2] = {}) =>
  (await client.addJob("held", payload, spec)).id;

describe("without a worker", () => {
  it("says of a job that it is gone, or was never there", async () => {
    const id = await add("a");
    await client.completeJobs([id]);
    expect(await why(id, "gone")).toHaveLength(1);
    expect((await client.explainJob("9223372036854775807")).reasons[0]?.code).toBe("gone");
  });

  it("says that none lives, and what else is in the way", async () => {
    const first = await add("a", { queueName: "mail" });
    const id = await add("b", { queueName: "mail", runAt: "2000-01-01T00:00:00Z", priority: 3 });
    await client.pauseQueue("mail", { until: "2100-01-01T00:00:00Z" });
    await client.pauseTask("held");
    const reasons = await why(id, "task_paused");
    expect(reasons.map(({ code }) => code)).toEqual(["task_paused", "queue_paused", "no_worker", "not_first"]);
    expect(reasons[1]?.until).toEqual(new Date("2100-01-01T00:00:00Z"));
    expect(reasons[3]).toMatchObject({ jobId: first, jobsBefore: 1 });
    await client.resumeQueue("mail");
    await client.resumeTask("held");
    expect((await why(first, "no_worker")).map(({ code }) => code)).toEqual(["no_worker"]);
  });

  it("says that it failed, or is not due", async () => {
    const [failed, later] = [await add("a", { maxAttempts: 1 }), await add("b", { runAt: "2100-01-01T00:00:00Z" })];
    await client.permanentlyFailJobs([failed], "no address");
    expect((await why(failed, "failed"))[0]?.message).toContain("no address");
    expect((await why(later, "scheduled"))[0]?.until).toEqual(new Date("2100-01-01T00:00:00Z"));
  });

  it("says that the worker that has it, or its queue, is dead or unknown", async () => {
    await registerDead(database, "howdah_dead");
    const dead = await addDeadJob(database, "howdah_dead", { task: "held", queueName: "mail" });
    expect((await why(dead, "holder_dead"))[0]).toMatchObject({ workerId: "howdah_dead" });
    const behind = await add("b", { queueName: "mail" });
    const codes = (await client.explainJob(behind)).reasons.map(({ code }) => code);
    expect(codes).toEqual(["no_worker", "queue_locked"]);
    const foreign = await addDeadJob(database, "graphile_worker_1", { task: "held" });
    expect((await why(foreign, "running"))[0]?.message).toContain("whether that lives is not known");
  });

  it("counts the jobs before it, at most a thousand", async () => {
    const id = await add("a", { queueName: "mail" });
    await database.sql(
      `insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at)
       select job.task_id, job.job_queue_id, -n % 3, now() - n * interval '1 s'
       from howdah._private_jobs as job, generate_series(1, 1500) as n`,
    );
    const reason = (await client.explainJob(id)).reasons.find(({ code }) => code === "not_first");
    expect(reason).toMatchObject({ jobsBefore: 1_000 });
    expect(reason?.message).toContain("at least 1,000 due jobs");
  });
});

describe.each<[string, Partial<WorkerOptions>]>([
  ["directly", {}],
  ["with a local queue", { localQueue: { size: 1 } }],
])("with a worker that claims %s", (_, mode) => {
  it("says where it runs, that it was told to stop, and that it was cancelled", async () => {
    const stoppable = defineTask({
      identifier: "held",
      async run(_: unknown, { signal }) {
        await aborted(signal);
        await gate.opened;
        signal.throwIfAborted();
      },
    });
    const gate = createGate();
    const { worker } = await start({ ...mode, tasks: [stoppable] });
    const id = await add("a");
    await until(async () => (await client.explainJob(id)).reasons[0]?.message.includes(" runs it"));
    const [running] = await why(id, "running");
    expect(running).toMatchObject({ workerId: worker.id });
    expect(running?.message).toContain(`process ${process.pid} on`);
    await client.cancelJobs([id], "not wanted");
    expect((await why(id, "running"))[0]?.message).toContain("told to stop: not wanted");
    gate.open();
    expect((await why(id, "cancelled"))[0]?.message).toContain("not wanted");
  });

  it("says that its outcome is in memory, as long as it cannot be written", async () => {
    const { started: names, openAll, worker } = await start(mode);
    const id = await add("a");
    await until(() => names.length === 1);
    const other = await database.connect();
    await other.query("begin");
    await other.query("select from howdah._private_jobs where id = $1 for update", [id]);
    openAll();
    const [reason] = await why(id, "in_memory");
    expect(reason).toMatchObject({ workerId: worker.id });
    expect(reason?.message).toContain("it has ended and is not written yet (1 are not)");
    await other.query("rollback");
    await why(id, "gone");
  });

  it("says that its worker was killed", { timeout: 60_000 }, async () => {
    const killed = await startWorkerProcess(database, { taskNames: ["hold"], ...mode });
    const { id } = await client.addJob("hold");
    await killed.tells("job", { id });
    expect((await why(id, "running"))[0]).toMatchObject({ workerId: killed.workerId });
    killed.kill();
    await killed.ended;
    // Of a session that has just ended it is not known why.
    await until(async () => (await client.explainJob(id)).reasons[0]?.code === "holder_dead", { deadlineMs: 20_000 });
    const [reason] = await why(id, "holder_dead");
    expect(reason).toMatchObject({ workerId: killed.workerId });
    expect(reason?.remedy).toMatch(/Any worker that lives recovers it/);
  });

  it("says that the queue is locked, by whom and for which job", async () => {
    const { worker, started: names } = await start(mode);
    const first = await add("a", { queueName: "mail" });
    await until(() => names.length === 1);
    const id = await add("b", { queueName: "mail" });
    await until(async () => (await client.explainJob(id)).reasons[0]?.jobId === first);
    expect((await why(id, "queue_locked")).map(({ code, workerId }) => [code, workerId])).toEqual([
      ["queue_locked", worker.id],
    ]);
  });

  it("says that no worker knows the task, and the nearest name", async () => {
    await start(mode);
    const { id } = await client.addJob("hled");
    expect((await why(id, "task_unknown"))[0]?.message).toContain('"held"');
  });

  it("says that all slots are at work, and how many jobs come first", async () => {
    const { started: names } = await start({ ...mode, concurrency: 1 });
    await add("a", { priority: -1 });
    await until(() => names.length === 1);
    // What a local queue holds is claimed, and not behind it.
    const more = "localQueue" in mode ? [await add("b", { priority: -1 })] : [];
    for (const id of more) await why(id, "in_memory");
    await add("c");
    const id = await add("d", { priority: 1 });
    expect((await why(id, "slots_busy"))[0]).toMatchObject({ jobsBefore: 1 });
  });

  it("says that the only worker shuts down, as long as its handlers go on", async () => {
    const { worker, started: names, openAll } = await start(mode);
    await add("a");
    await until(() => names.length === 1);
    const stopping = worker.stop();
    const id = await add("b");
    expect((await why(id, "no_worker"))[0]?.message).toMatch(/No worker takes jobs: 1 worker shutting down/);
    openAll();
    await stopping;
  });

  it("says that claims fail, and with what", async () => {
    await start(mode);
    await withBrokenClaims(database, async () => {
      const id = await add("a");
      expect((await why(id, "claims_fail"))[0]?.message).toMatch(/: function howdah\._howdah_\w*claim/);
    });
  });

  it("says that it was not announced, and when it is found", async () => {
    const { worker } = await start({ ...mode, pollInterval: "5m" });
    // It looks everywhere once more when it listens.
    await until(async () => {
      const found = (await client.listActiveWorkers()).find(({ id }) => id === worker.id);
      return found?.session === "held" && (found.report?.claims.nextFullScanMs ?? 0) > 60_000;
    });
    const [task] = await database.sql("select id from howdah._private_tasks where identifier = 'held'");
    const insert = async (age: string): Promise<string> => {
      const [row] = await database.sql(
        `insert into howdah._private_jobs (task_id, run_at, created_at, updated_at)
         select $1, now() - $2::interval, now() - $2::interval, now() - $2::interval returning id`,
        [task?.["id"], age],
      );
      return String(row?.["id"]);
    };
    expect((await why(await insert("1 minute"), "unannounced"))[0]?.message).toMatch(/in about \d/);
    expect(await why(await insert("0 s"), "soon")).toHaveLength(1);
  });
});

it("says that each worker that knows the task forbids one of its flags", async () => {
  await start({ forbiddenFlags: ["gpu"] });
  const other = defineTask({ identifier: "other", run() {} });
  await start({ tasks: [other] });
  const id = await add("a", { flags: ["gpu", "slow"] });
  expect((await why(id, "flag_forbidden"))[0]?.message).toContain(": gpu.");
});

it("is a part of a transaction, and sees what that has added", async () => {
  const connection = await database.connect();
  await connection.query("begin");
  const inside = client.inTransaction(connection);
  const { id } = await inside.addJob("held", "a");
  expect((await inside.explainJob(id)).reasons.map(({ code }) => code)).toEqual(["no_worker"]);
  expect((await client.explainJob(id)).reasons.map(({ code }) => code)).toEqual(["gone"]);
  await connection.query("rollback");
});

it("refuses what is no id", async () => {
  await expect(client.explainJob("x")).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
});
