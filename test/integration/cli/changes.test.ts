import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createClient, type Client, defineTask, type Job, type JobContext } from "../../../src/index.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { type CliOutput, type Person, runCli } from "../../harness/run-cli.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  vi.stubEnv("HOWDAH_LOG", "silent");
  database = await createDatabase();
  client = await createClient({ driver: database.driver, migrate: false });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await database.drop();
});

beforeEach(() => database.sql("truncate howdah._private_jobs"));

function howdah(args: readonly string[], person?: Person): Promise<CliOutput> {
  return runCli([...args, "--database-url", database.connectionString], person);
}

/** Its JSON, when nothing is said beside it. */
async function howdahJson(args: readonly string[]): Promise<unknown> {
  const { code, out, error } = await howdah([...args, "--json"]);
  expect({ code, error }).toEqual({ code: 0, error: "" });
  return JSON.parse(out);
}

/** Stores jobs of a task; their ids. */
async function stored(task: string, count: number): Promise<string[]> {
  const jobs = await client.addJobs(Array.from({ length: count }, () => ({ identifier: task })));
  return jobs.map(({ id }) => id);
}

async function failed(task: string, count: number): Promise<string[]> {
  const ids = await stored(task, count);
  await client.permanentlyFailJobs(ids, "mailbox is full");
  return ids;
}

/** A worker with these handlers, which has begun to run; it is stopped at the end of the block. */
async function running(handlers: Readonly<Record<string, Handler>>): Promise<AsyncDisposable> {
  const tasks = Object.entries(handlers).map(([identifier, run]) => defineTask({ identifier, run }));
  const worker = await createTestWorker(database, { tasks });
  const ended = worker.run();
  await vi.waitUntil(async () => (await client.listActiveWorkers()).length > 0);
  return {
    async [Symbol.asyncDispose]() {
      await worker.stop();
      await ended;
    },
  };
}

type Handler = (payload: unknown, context: JobContext) => Promise<void>;

/** A person who gives this answer, and what was asked. */
function answering(answer: string): Person & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    ask(question) {
      asked.push(question);
      return Promise.resolve(answer);
    },
  };
}

describe("add", () => {
  const folder = mkdtemp(join(tmpdir(), "howdah-cli-add-"));
  afterAll(async () => rm(await folder, { recursive: true }));

  it("stores a job with everything that was given, and prints it", async () => {
    const words =
      "--queue mail --run-at 2030-01-31T09:00:00+01:00 --priority -5 --max-attempts 3 --key k --key-mode preserve_run_at";
    const given = ["add", "send_email", "--payload", '{"to":"Ada"}', ...words.split(" ")];
    const job = (await howdahJson([...given, "--flags", "slow", "eu", "--timeout", "90s"])) as Job;
    expect(job).toMatchObject({
      task: "send_email",
      payload: { to: "Ada" },
      queueName: "mail",
      runAt: "2030-01-31T08:00:00.000Z",
      priority: -5,
      maxAttempts: 3,
      jobKey: "k",
      timeoutMs: 90_000,
    });
    expect([...job.flags].sort()).toEqual(["eu", "slow"]);
    expect(await client.getJob(job.id)).toMatchObject({ payload: { to: "Ada" } });
  });

  it("takes a delay by the clock of the database, and no payload for an empty one", async () => {
    const { out } = await howdah(["add", "later", "--run-in", "2h"]);
    const id = (await client.listJobs({ task: "later" })).jobs[0]?.id ?? "";
    expect(out).toMatch(new RegExp(`^Added job ${id} of task later, due \\d{4}-`));
    expect(await client.getJob(id)).toMatchObject({ payload: {}, state: "scheduled" });
  });

  it("reads the payload from a file", async () => {
    const file = join(await folder, "payload.json");
    await writeFile(file, '[1, "zwei"]');
    expect(await howdahJson(["add", "filed", "--payload-file", file])).toMatchObject({ payload: [1, "zwei"] });
  });

  it("says what is wrong, in the words of the command line, and stores nothing", async () => {
    const broken = join(await folder, "broken.json");
    await writeFile(broken, "{");
    for (const [args, said] of [
      [["t", "--key-mode", "replace"], /--key-mode goes with --key only/],
      [["t", "--payload", "{"], /has to be JSON/],
      [["t", "--payload", "12345678901234567890"], /too large for JavaScript/],
      [["t", "--payload-file", broken], /--payload-file: It has to be JSON/],
      [["t", "--payload-file", join(broken, "x")], /--payload-file cannot be read: ENOTDIR/],
      [["t", "--payload", "1", "--payload-file", broken], /cannot be used with/],
      [["t", "--run-at", "soon"], /--run-at/],
      [["t", "--run-in", "soon"], /--run-in/],
      [["t", "--priority", "1.5"], /-32768 to 32767/],
      [[""], /task/i],
    ] as const) {
      const { code, out, error } = await howdah(["add", ...args]);
      expect({ args, code, out }).toEqual({ args, code: 2, out: "" });
      expect(error).toMatch(said);
    }
    expect((await client.listJobs()).jobs).toEqual([]);
  });
});

describe("with ids", () => {
  it("retry lets failed jobs run again, and says which were left alone", async () => {
    const ids = await failed("mail", 2);
    const { code, out, error } = await howdah(["retry", ...ids.map((id) => `00${id}`), "999999"]);
    expect({ code, out }).toEqual({ code: 0, out: "Retried 2 jobs.\n" });
    expect(error).toBe("Left alone: 999999. They run, are gone, or cannot be retried; see howdah show.\n");
    expect((await client.listJobs({ state: "ready" })).jobs.map(({ id, attempts }) => [id, attempts])).toEqual(
      ids.map((id) => [id, 0]),
    );
  });

  it("reschedule changes what is given and nothing else", async () => {
    const [id = ""] = await stored("mail", 1);
    const words = "--run-at 2030-01-31T08:00:00Z --set-priority 7 --attempts 2 --max-attempts 9";
    const [job] = (await howdahJson(["reschedule", id, ...words.split(" ")])) as Job[];
    expect(job).toMatchObject({
      id,
      runAt: "2030-01-31T08:00:00.000Z",
      priority: 7,
      attempts: 2,
      maxAttempts: 9,
      state: "scheduled",
    });
    expect(await howdahJson(["reschedule", id, "--now"])).toMatchObject([{ id, priority: 7, state: "ready" }]);
    expect(await howdahJson(["reschedule", id, "--run-in", "5m"])).toMatchObject([{ id, state: "scheduled" }]);
  });

  it("fail keeps a job as failed, complete and remove delete it", async () => {
    const [one = "", two = "", three = ""] = await stored("mail", 3);
    expect(await howdahJson(["fail", one, "--reason", "closed"])).toMatchObject([{ id: one, lastError: "closed" }]);
    expect(await howdahJson(["complete", one])).toMatchObject([{ id: one }]);
    expect(await howdahJson(["remove", two])).toMatchObject([{ id: two }]);
    expect((await client.listJobs()).jobs.map(({ id }) => id)).toEqual([three]);
  });

  it("leave alone what a worker runs, unless complete is told to stop it first", async () => {
    const [id = ""] = await stored("endless", 1);
    await using worker = await running({
      endless: (_, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    });
    await vi.waitUntil(async () => (await client.getJob(id))?.state === "running");
    for (const command of ["retry", "complete", "fail", "remove"]) {
      const { out, error } = await howdah([command, id]);
      expect({ command, out: out.startsWith("No jobs were "), left: error.includes(id) }).toEqual({
        command,
        out: true,
        left: true,
      });
    }
    expect(await howdahJson(["complete", id, "--force"])).toMatchObject([{ id }]);
    expect(await client.getJob(id)).toBeUndefined();
    expect(worker).toBeDefined();
  });
});

describe("erase", () => {
  it("asks, erases what there is of a key or of a prefix, and says how much", async () => {
    for (const jobKey of ["user:17:a", "user:17:b", "user:18"]) await client.addJob("mail", {}, { jobKey });
    expect(await howdah(["erase"])).toMatchObject({ code: 2, out: "" });
    expect(await howdah(["erase", "--key", "a", "--key-prefix", "a"])).toMatchObject({ code: 2, out: "" });
    const alone = await howdah(["erase", "--key", "user:18"]);
    expect(alone.error).toContain("Everything of the key user:18 would be erased. Add --yes to do it.");
    const no = answering("");
    expect(await howdah(["erase", "--key-prefix", "user:17:"], no)).toMatchObject({ code: 0, out: "" });
    expect(no.asked).toEqual(["Erase everything of all keys that begin with user:17:? It cannot be undone. [y/N] "]);
    expect((await client.listJobs({ task: "mail" })).jobs).toHaveLength(3);
    const { out } = await howdah(["erase", "--key-prefix", "user:17:"], answering("y"));
    expect(out).toBe("Erased 2 jobs, 0 jobs of the history, 0 failed attempts, 0 lines.\n");
    expect(await howdahJson(["erase", "--key", "user:18", "--yes"])).toEqual({
      jobs: 1,
      history: 0,
      attempts: 0,
      logLines: 0,
      running: [],
    });
    expect((await client.listJobs({ task: "mail" })).jobs).toEqual([]);
  });
});

describe("with options that select jobs", () => {
  const CHANGES = [
    ["retry", "retried", failed],
    ["complete", "completed", stored],
    ["fail", "marked as failed", stored],
    ["cancel", "cancelled", stored],
    ["remove", "removed", failed],
  ] as const;

  it.each(CHANGES)("%s counts, asks, and changes only those", async (command, done, fill) => {
    await fill("mail", 3);
    const others = await fill("other", 1);
    const before = await client.getJob(others[0] ?? "");

    expect(await howdahJson([command, "--task", "mail", "--dry-run"])).toMatchObject({ matched: 3, exact: true });
    const alone = await howdah([command, "--task", "mail"]);
    expect(alone).toMatchObject({ code: 2, out: "" });
    expect(alone.error).toBe(`howdah: HOWDAH_OPTION_INVALID: 3 jobs would be ${done}. Add --yes to do it.\n`);

    const no = answering("");
    const refused = await howdah([command, "--task", "mail"], no);
    expect({ ...refused, asked: no.asked }).toEqual({
      code: 0,
      out: "",
      error: `3 jobs would be ${done}.\n  mail 3\nNothing was changed.\n`,
      asked: ["Do it? [y/N] "],
    });
    expect(await client.getJob(others[0] ?? "")).toEqual(before);
    expect((await client.listJobs({ task: "mail" })).jobs).toHaveLength(3);

    const agreed = await howdah([command, "--task", "mail"], answering("y"));
    expect(agreed.out).toBe(`${done.charAt(0).toUpperCase()}${done.slice(1)} 3 jobs.\n`);
    expect(await client.getJob(others[0] ?? "")).toEqual(before);
    expect(await howdahJson([command, "--task", "other", "--yes"])).toMatchObject({
      action: command,
      state: "done",
      matched: 1,
      changed: 1,
    });
  });

  it("retry spreads all that failed over a time, with the attempts given", async () => {
    await failed("mail", 2);
    await stored("mail", 1);
    const words = (text: string): string[] => text.split(" ");
    expect(await howdahJson(words("retry --all --spread 10m --dry-run"))).toMatchObject({ matched: 2 });
    const { out } = await howdah(words("retry --all --spread 10m --attempts 3 --yes"));
    expect(out).toBe("Retried 2 jobs.\n");
    const { jobs } = await client.listJobs({ task: "mail" });
    expect(jobs.map(({ maxAttempts }) => maxAttempts).sort((a, b) => a - b)).toEqual([3, 3, 25]);
    const [id = ""] = await failed("mail", 1);
    expect(await howdahJson(["retry", id, "--attempts", "2"])).toMatchObject([{ id, maxAttempts: 2 }]);
    expect(await howdahJson(words("retry --failed-since 2100-01-01T00:00:00Z --dry-run"))).toMatchObject({
      matched: 0,
    });
    for (const wrong of ["--spread soon", "--attempts 0", "--failed-since soon"])
      expect(await howdah(words(`retry --all ${wrong}`))).toMatchObject({ code: 2, out: "" });
  });

  it("wait for a person without a word about the database", async () => {
    await stored("mail", 1);
    vi.stubEnv("HOWDAH_LOG", "warn");
    using log = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const slow = { ask: () => systemClock.sleep(1_200).then(() => "y") };
    expect((await howdah(["remove", "--task", "mail"], slow)).out).toBe("Removed 1 job.\n");
    vi.stubEnv("HOWDAH_LOG", "silent");
    expect(log).not.toHaveBeenCalled();
  });

  it("reschedule changes those that pass", async () => {
    await stored("mail", 2);
    const { out } = await howdah(["reschedule", "--task", "mail", "--run-in", "1h", "--yes"]);
    expect(out).toBe("Rescheduled 2 jobs.\n");
    expect((await client.listJobs({ state: "scheduled" })).jobs).toHaveLength(2);
  });

  it("select by error, payload and time", async () => {
    await failed("mail", 1);
    await client.addJob("mail", { account: 17 });
    const words = (text: string): string[] => text.split(" ");
    expect(await howdahJson(words("retry --error mailbox --dry-run"))).toMatchObject({ matched: 1 });
    expect(await howdahJson(words('remove --payload {"account":17} --dry-run'))).toMatchObject({ matched: 1 });
    expect(await howdahJson(words("remove --since 2030-01-31T08:00:00Z --dry-run"))).toMatchObject({ matched: 0 });
    expect((await howdah(words("remove --since 2030-01-31T08:00:00Z"))).out).toBe("No jobs were removed.\n");
  });

  it("say what was typed wrongly", async () => {
    for (const [line, said] of [
      ["retry", /either the ids of jobs, or options/],
      ["retry 1 --task t", /either the ids of jobs, or options/],
      ["retry x", /"x" is not the id of a job/],
      ["retry 1 --dry-run", /--dry-run goes with options/],
      ["remove --state running", /ready, scheduled, failed/],
      ["fail --state failed", /ready, scheduled/],
      ["reschedule 1", /Give what to change: --now/],
      ["reschedule 1 --now --run-in 5m", /cannot be used with/],
      ["reschedule 1 --run-at soon", /--run-at/],
      ["complete --task t --force", /--force goes with the ids/],
      ["retry --since yesterday", /--since/],
      ["operations", /missing|argument/i],
      ["operations pause", /operations list, or pause/],
      ["operations list 7", /takes no id/],
    ] as const) {
      const { code, out, error } = await howdah(line.split(" "));
      expect({ line, code, out }).toEqual({ line, code: 2, out: "" });
      expect(error).toMatch(said);
    }
  });
});

describe("operations", () => {
  it("are listed, stopped and continued", async () => {
    await failed("mail", 2);
    const { id } = (await howdahJson(["retry", "--task", "mail", "--yes"])) as { id: string };
    const [newest] = (await howdahJson(["operations", "list"])) as unknown[];
    expect(newest).toMatchObject({ id, action: "retry", state: "done" });
    expect((await howdah(["operations", "list"])).out).toMatch(/^ID\tACTION\tSTATE\t/);
    expect((await howdah(["operations", "stop", id])).out).toBe(
      `Operation ${id} (retry) is done: 2 of 2 jobs changed.\n`,
    );

    await database.sql("update howdah._howdah_operations set state = 'paused', after_id = 0, way = 0");
    await client.permanentlyFailJobs((await client.listJobs()).jobs.map((job) => job.id));
    expect(await howdahJson(["operations", "resume", id])).toMatchObject({ id, state: "done", changed: 4 });
    const unknown = await howdah(["operations", "pause", "999999"]);
    expect(unknown).toMatchObject({ code: 1, out: "" });
    expect(unknown.error).toContain("HOWDAH_OPERATION_UNKNOWN");
  });
});

describe("unlock", () => {
  it("refuses workers that live, and unlocks those that are gone", async () => {
    const [id = ""] = await stored("mail", 1);
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'gone' where id = $1", [id]);
    await using worker = await running({ mail: () => Promise.resolve() });
    const living = (await client.listActiveWorkers())[0]?.id ?? "";
    const refused = await howdah(["unlock", living]);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.error).toMatch(/seems to live: its last heartbeat was .* would run twice\. Stop it first/);
    expect(await howdah(["unlock", "gone"])).toEqual({
      code: 0,
      out: "Unlocked what 1 worker held.\n",
      error: "Not registered: gone. That is so after a recovery; else see howdah workers for the ids.\n",
    });
    await vi.waitUntil(async () => (await client.getJob(id)) === undefined);
    expect(await howdahJson(["unlock", living, "--force"])).toEqual({ unlocked: [living] });
    expect(worker).toBeDefined();
  });
});

describe("cleanup", () => {
  it("removes no task when a worker has more of them than it can say, or is idle", async () => {
    await stored("unused", 1);
    await database.sql("truncate howdah._private_jobs");
    const names = Array.from({ length: 200 }, (_, n) => `task_${n}_${"long_".repeat(12)}`);
    const refusedWith = async (message: RegExp): Promise<void> => {
      const refused = await howdah(["cleanup", "--unused-tasks"]);
      expect(refused).toMatchObject({ code: 2, out: "", error: expect.stringMatching(message) });
      // What has nothing to do with tasks is done.
      expect(await howdahJson(["cleanup", "--failed-jobs"])).toEqual({ permanentlyFailedJobs: 0 });
      expect(await database.sql("select from howdah._private_tasks where identifier = 'unused'")).toHaveLength(1);
    };
    {
      await using worker = await running(Object.fromEntries(names.map((name) => [name, () => Promise.resolve()])));
      await vi.waitUntil(async () => (await client.listActiveWorkers())[0]?.report);
      expect((await client.listActiveWorkers())[0]?.report?.moreTasks).toBeGreaterThan(0);
      await refusedWith(/runs more tasks than its report has room for/);
      expect(worker).toBeDefined();
    }
    const idle = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "rests", run: () => undefined })],
      pollInterval: "adaptive",
      idleTimeout: "100ms",
      recovery: PATIENT_RECOVERY,
    });
    const ended = idle.run();
    await vi.waitUntil(() => idle.metrics().idle, 20_000);
    await refusedWith(/1 worker is idle, and what idle workers run is not known/);
    await idle.stop();
    await ended;
    expect(await howdahJson(["cleanup", "--unused-tasks"])).toEqual({ unusedTasks: expect.any(Number) });
    expect(await database.sql("select from howdah._private_tasks")).toEqual([]);
  });

  it("removes what was named, and keeps the tasks of live workers", async () => {
    await failed("mail", 2);
    await client.completeJobs(await stored("gone", 1));
    await client.completeJobs(await stored("kept", 1));
    await using worker = await running({ idle: () => Promise.resolve() });
    expect(await howdah(["cleanup"])).toMatchObject({ code: 2, out: "" });
    expect((await howdah(["cleanup", "--failed-jobs"])).out).toBe("Removed 2 failed jobs.\n");
    const removed = await howdahJson(["cleanup", "--unused-tasks", "--unused-queues", "--keep-tasks", "kept"]);
    expect(removed).toEqual({ unusedTasks: expect.any(Number), unusedQueues: expect.any(Number) });
    const left = await database.sql("select identifier from howdah._private_tasks order by 1");
    expect(left).toEqual([{ identifier: "idle" }, { identifier: "kept" }]);
    expect(worker).toBeDefined();
  });
});

describe("completion", () => {
  it.each(["bash", "zsh", "fish"])("names every command and option for %s", async (shell) => {
    const { code, out } = await runCli(["completion", shell]);
    expect(code).toBe(0);
    for (const word of ["retry", "reschedule", "set-priority", "database-url", "preserve_run_at"])
      expect(out).toContain(word);
  });

  it("knows no other shell", async () => {
    const { code, error } = await runCli(["completion", "cmd"]);
    expect(code).toBe(2);
    expect(error).toContain('There is no completion for "cmd": give bash, zsh or fish.');
  });
});
