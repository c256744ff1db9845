import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient, defineTask, type Client } from "../../../src/index.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = await createClient({ driver: database.driver, migrate: false });
});

afterAll(() => database.drop());

interface Output {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs the built command with the test database in `DATABASE_URL`. */
async function howdah(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Output> {
  const env = { ...process.env, DATABASE_URL: database.connectionString, HOWDAH_SCHEMA: undefined, ...environment };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error] = [collect(child.stdout), collect(child.stderr)];
  await once(child, "close");
  return { code: child.exitCode, out: out.join(""), error: error.join("") };
}

function collect(stream: NodeJS.ReadableStream): string[] {
  const chunks: string[] = [];
  stream.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  return chunks;
}

async function howdahJson(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const { code, out, error } = await howdah([...args, "--json"], environment);
  expect({ code, error }).toEqual({ code: 0, error: "" });
  return JSON.parse(out);
}

describe("migrate", () => {
  it.each(["howdah", "My Schema"])("creates schema %s, and does nothing the second time", async (schema) => {
    await using empty = await createDatabase({ migrate: false });
    const environment = { DATABASE_URL: empty.connectionString };
    const first = await howdahJson(["migrate", "--schema", schema], environment);
    expect(first).toEqual({
      migrated: true,
      schema,
      revision: expect.any(Number),
      applied: expect.arrayContaining([1]),
    });
    expect(await howdahJson(["migrate", "--schema", schema], environment)).toEqual({ ...Object(first), applied: [] });
    expect((await howdah(["migrate", "--schema", schema], environment)).out).toContain("was up to date");
    expect(
      await empty.sql("select count(*)::integer as n from information_schema.schemata where schema_name = $1", [
        schema,
      ]),
    ).toEqual([{ n: 1 }]);
  });

  it("tells what it would do, and does nothing, with --dry-run", async () => {
    await using empty = await createDatabase({ migrate: false });
    const environment = { DATABASE_URL: empty.connectionString };
    const plan = (await howdahJson(["migrate", "--dry-run"], environment)) as { pending: number[] };
    expect(plan).toEqual({
      migrated: false,
      schema: "howdah",
      revision: 0,
      pending: expect.arrayContaining([1]),
      damaged: false,
    });
    expect(await empty.sql("select from information_schema.schemata where schema_name = 'howdah'")).toEqual([]);
    const { revision } = (await howdahJson(["migrate"], environment)) as { revision: number };
    expect(plan.pending.at(-1)).toBe(revision);
    expect((await howdah(["migrate", "--dry-run"], environment)).out).toBe(
      `Schema "howdah" is at revision ${revision}: up to date.\n`,
    );
  });

  it("takes the schema from HOWDAH_SCHEMA", async () => {
    const answer = await howdahJson(["migrate"], { HOWDAH_SCHEMA: "elsewhere" });
    expect(answer).toMatchObject({ schema: "elsewhere" });
  });
});

describe("migrate --sql", () => {
  it("prints what makes the schema, without a database", async () => {
    const nowhere = { DATABASE_URL: undefined, PGHOST: undefined, PGDATABASE: undefined, PGUSER: undefined };
    const { code, out, error } = await howdah(["migrate", "--sql", "--schema", "My Schema"], nowhere);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    await using empty = await createDatabase({ migrate: false });
    await empty.sql(out);
    await empty.sql(out);
    const environment = { DATABASE_URL: empty.connectionString };
    expect(await howdahJson(["migrate", "--schema", "My Schema"], environment)).toMatchObject({ applied: [] });
  });

  it.each([
    [["migrate", "--from", "3"], "--sql"],
    [["migrate", "--sql", "--from", "x"], "revision"],
    [["migrate", "--sql", "--from", "999"], "revisions up to"],
  ])("refuses %j", async (args, message) => {
    const { code, out, error } = await howdah(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(error).toContain(message);
  });
});

describe("a schema of another application", () => {
  it.each(["stats", "list", "show 1", "cancel 1", "workers", "queues list", "tasks list", "schedules list", "migrate"])(
    "is called that by howdah %s, not one to migrate",
    async (command) => {
      await database.sql("create schema if not exists theirs");
      await database.sql("create table if not exists theirs.jobs (id bigint)");
      const { code, error } = await howdah([...command.split(" "), "--schema", "theirs"]);
      expect(code).toBe(1);
      expect(error).toContain("HOWDAH_SCHEMA_FOREIGN");
      expect(error).not.toContain("migrate`");
    },
  );
});

describe("cancel", () => {
  it("cancels the jobs with these ids, or those that pass the options", async () => {
    const [one, two, three] = await client.addJobs([
      { identifier: "cancel_one" },
      { identifier: "cancel_two", spec: { queueName: "cancel queue" } },
      { identifier: "cancel_one", spec: { timeout: "90s" } },
    ]);
    expect((await howdah(["show", three?.id ?? ""])).out).toContain("1 min 30 s");
    const some = await howdah(["cancel", one?.id ?? "", "999999", "--json"]);
    expect(JSON.parse(some.out)).toEqual({ removed: [one?.id], signalled: [] });
    expect(some.error).toMatch(/^Left alone: 999999\. /);
    const preview = await howdah(["cancel", "--queue", "cancel queue", "--dry-run"]);
    expect(preview.out).toBe("1 job would be cancelled.\n  cancel_two 1\n");
    expect((await howdah(["cancel", "--queue", "cancel queue", "--yes"])).out).toBe("Cancelled 1 job.\n");
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w' where id = $1", [three?.id]);
    const answer = await howdahJson(["cancel", "--task", "cancel_one", "--reason", "enough", "--yes"]);
    expect(answer).toMatchObject({ action: "cancel", state: "done", matched: 1, changed: 0, signalled: 1 });
    const gone = await howdah(["cancel", two?.id ?? ""]);
    expect(gone).toMatchObject({ code: 0, out: "No jobs were cancelled.\n" });
    expect(gone.error).toMatch(new RegExp(`^Left alone: ${two?.id}\\.`));
  });

  it("refuses to guess", async () => {
    for (const args of [
      ["cancel"],
      ["cancel", "1", "--task", "t"],
      ["cancel", "--state", "failed"],
      ["cancel", "1", "--dry-run"],
      ["cancel", "x"],
    ]) {
      expect(await howdah(args)).toMatchObject({ code: 2, out: "" });
    }
  });
});

describe("result", () => {
  it("waits for the end of a job and prints what its handler returned, or fails", async () => {
    const awaited = { spec: { awaited: true } };
    const [done, failed] = await client.addJobs([
      { identifier: "print_sum", ...awaited },
      { identifier: "print_fail", spec: { awaited: true, maxAttempts: 1 } },
    ]);
    const printing = howdah(["result", done?.id ?? "", "--timeout", "1m"]);
    const tasks = [
      defineTask({ identifier: "print_sum", run: () => ({ sum: 6, of: "\u001b[31m" }) }),
      defineTask({ identifier: "print_fail", run: () => Promise.reject(new Error("no")) }),
    ];
    await using worker = await createTestWorker(database, { tasks });
    await worker.runOnce();
    expect(await printing).toEqual({ code: 0, out: `{\n  "sum": 6,\n  "of": "\\u001b[31m"\n}\n`, error: "" });
    expect(await howdahJson(["result", done?.id ?? ""])).toEqual({
      id: done?.id,
      result: { sum: 6, of: "\u001b[31m" },
    });
    expect((await howdah(["result", failed?.id ?? ""])).error).toContain("HOWDAH_RESULT_FAILED");
    expect(await howdah(["result", "987654321"])).toMatchObject({
      code: 1,
      error: expect.stringContaining("HOWDAH_RESULT_UNKNOWN"),
    });
    const later = await client.addJob("print_sum", {}, { runIn: "1h" });
    expect((await howdah(["result", later.id, "--timeout", "50ms"])).error).toContain("HOWDAH_RESULT_TIMEOUT");
    await client.completeJobs([later.id, failed?.id ?? ""]);
  });
});

describe("queues and tasks", () => {
  it("that do not exist yet are paused only when that is meant", async () => {
    const typed = await howdah(["queues", "pause", "slow"]);
    expect(typed).toMatchObject({ code: 2, out: "", error: expect.stringContaining('There is no queue "slow" yet.') });
    expect(await howdahJson(["queues", "list", "--search", "slow"])).toEqual({ queues: [], next: null });
    const paused = await howdah(["queues", "pause", "slow", "--future"]);
    expect(paused.out).toBe('Queue "slow" is paused until it is resumed.\n');
    expect((await howdah(["queues", "pause", "slwo"])).error).toContain('Did you mean "slow"? With --future it is');
    expect((await howdah(["queues", "pause", "slow"])).code).toBe(0);
  });

  it("are told from those that do not exist without reading the jobs", async () => {
    await client.pauseQueue("crowded");
    const holder = await database.connect();
    await holder.query("begin; lock table howdah._private_jobs in access exclusive mode");
    expect((await howdah(["queues", "pause", "corwded"])).error).toContain('Did you mean "crowded"?');
    expect((await howdah(["queues", "pause", "crowded"])).out).toBe('Queue "crowded" is paused until it is resumed.\n');
    await holder.query("rollback");
  });

  it("pause, list and resume", async () => {
    await client.pauseQueue("slow");
    const until = "2100-01-31T08:00:00.000Z";
    expect(await howdahJson(["tasks", "pause", "charge", "--until", until])).toEqual({ name: "charge", until });
    expect((await howdah(["queues", "list"])).out).toMatch(/^slow\t0\t0\t\tinfinity$/m);
    expect(await howdahJson(["queues", "list", "--paused", "--search", "slow"])).toMatchObject({
      queues: [{ name: "slow", isPaused: true, jobCount: { value: 0, exact: true } }],
      next: null,
    });
    expect((await howdah(["tasks", "pause", "over", "--until", "2000-01-01T00:00:00Z"])).out).toBe(
      'Task "over" is not paused: that time has passed.\n',
    );
    expect(await howdahJson(["queues", "resume", "slow"])).toEqual({ name: "slow", resumed: true });
    expect((await howdah(["tasks", "resume", "charge"])).out).toBe('Task "charge" is resumed.\n');
    expect((await howdah(["tasks", "list"])).out).toBe("TASK\tPAUSED\n");
  });

  it("say what they need", async () => {
    for (const args of [
      ["queues", "stop"],
      ["tasks", "pause"],
      ["queues", "list", "--until", "2100-01-01T00:00:00Z"],
      ["queues", "resume", "slow", "--locked"],
      ["queues", "list", "--limit", "0"],
    ]) {
      expect(await howdah(args)).toMatchObject({ code: 2, out: "" });
    }
  });
});

describe("what was typed wrongly", () => {
  it.each([
    [["nonsense", "--help"], "Unknown command 'nonsense'. See howdah --help."],
    [["help", "nonsense"], "Unknown command 'nonsense'. See howdah --help."],
    [["--schema", "s", "lsit", "-h"], "Unknown command 'lsit'. Did you mean list? See howdah --help."],
    [["queues", "paus", "x"], 'Unknown action "paus", did you mean `pause`?'],
    [["schedules", "triger", "x"], 'Unknown action "triger", did you mean `trigger`?'],
    [["list", "--nonsense"], "Unknown option '--nonsense'. See howdah list --help."],
    [["tasks", "pause", "t", "--until", "soon"], "Option --until must be a valid Date or a time"],
    [["workers", "--threshold", "soon"], "Option '--threshold <duration>' argument 'soon' is invalid. It has to be a"],
    [["retry", "--all", "--spread", "soon"], "Option '--spread <duration>' argument 'soon' is invalid. It has to be a"],
    [["requeue", "5"], "There is no command 'requeue'; failed jobs run again with `howdah retry`."],
    [["sweep"], "There is no command 'sweep'; the jobs of silent workers are recovered with `howdah workers --sweep`."],
    [
      ["run"],
      "There is no command 'run'; jobs are run by `howdah work`, or in your program by `await (await createWorker(",
    ],
    [["add", "t", "--run-at", "soon"], '--run-at of job `t` is "soon"; it has to be'],
  ])("%j is answered in the words of what was typed", async (args, message) => {
    expect(await howdah(args)).toMatchObject({ code: 2, out: "", error: expect.stringContaining(message) });
  });

  it("is told of the command line, not of the library", async () => {
    const missing = await howdah(["stats", "--schema", "nowhere"]);
    expect(missing).toMatchObject({ code: 1, error: expect.stringContaining("Run `howdah migrate`") });
    expect(missing.error).not.toContain("migrate: true");
    const unknown = await howdah(["schedules", "pause", "nope"]);
    expect(unknown.error).toContain("`howdah schedules list` shows those there are");
  });

  it("helps with a command that there is", async () => {
    expect(await howdah(["list", "--help"])).toMatchObject({ code: 0, error: "" });
    expect(await howdah(["--help"])).toMatchObject({ code: 0, error: "" });
    const { out } = await howdah(["list", "--help"]);
    expect(await howdah(["help", "list"])).toEqual({ code: 0, error: "", out });
  });
});

describe("a database that does not answer", () => {
  it("is said to be waited for, before the command gives up", async () => {
    const server = net.createServer((socket) => void socket.on("error", () => {}));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const env = { ...process.env, DATABASE_URL: `postgres://me@127.0.0.1:${port}/db` };
    const child = spawn(process.execPath, [MAIN, "stats"], { env, stdio: ["ignore", "pipe", "pipe"] });
    const error = collect(child.stderr);
    await until(() => error.join("").includes("The database has not answered yet; still trying"));
    child.kill("SIGKILL");
    await once(child, "close");
    server.close();
  });
});

describe("list", () => {
  it("prints the jobs that were asked for, with the keys of the library", async () => {
    const job = await client.addJob("list_one", { to: "x" }, { queueName: "a queue", jobKey: "a key", priority: 3 });
    await client.addJob("list_other", {}, { runAt: new Date(4_000_000_000_000) });
    const everywhere = { from: null, to: null };
    for (const [filter, searched] of [
      [["--task", "list_one"], everywhere],
      [["--queue", "a queue"], everywhere],
      [["--key", "a key"], null],
      [["--priority", "3", "--payload", '{"to":"x"}', "--since", "2000-01-01T00:00:00Z"], everywhere],
    ] as const) {
      const jobs = [JSON.parse(JSON.stringify(job))];
      expect(await howdahJson(["list", ...filter])).toEqual({ jobs, next: null, searched });
    }
    const scheduled = (await howdahJson(["list", "--state", "scheduled"])) as { jobs: { task: string }[] };
    expect(scheduled.jobs.map(({ task }) => task)).toEqual(["list_other"]);
  });

  it("goes through pages", async () => {
    await client.addJobs(Array.from({ length: 5 }, () => ({ identifier: "page" })));
    const list = ["list", "--task", "page", "--limit", "2"];
    const ids: string[] = [];
    let after: string[] = [];
    for (let page = 0; page < 3; page++) {
      const { jobs, next } = (await howdahJson([...list, ...after])) as { jobs: { id: string }[]; next: string | null };
      ids.push(...jobs.map(({ id }) => id));
      if (next === null) break;
      after = ["--after", next];
    }
    const { jobs } = await client.listJobs({ task: "page" });
    expect(ids).toEqual(jobs.map(({ id }) => id));
    expect((await howdah(list)).error).toMatch(/^There are more jobs; next page: --after [\w-]+\n$/);
  });

  it("prints nothing that can colour the terminal, or begin another column", async () => {
    const job = await client.addJob("nasty\u001B[31m\n\tname", {}, { queueName: "q\u202Eueue" });
    const { out } = await howdah(["list", "--task", job.task]);
    const lines = out.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe("ID\tTASK\tQUEUE\tSTATE\tDUE\tPRIO\tTRIES\tKEY\tDETAIL");
    const [id, task, queue, state, due] = lines[1]?.split("\t") ?? [];
    expect([id, queue, state, due]).toEqual([job.id, "q\\u{202e}ueue", "ready", job.runAt.toISOString()]);
    expect(task).toMatch(/^nasty\\u\{1b\}\[31m\\n\\\S+name$/);
  });

  it("prints the names of the columns alone when there are no such jobs", async () => {
    expect(await howdah(["list", "--task", "missing"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^ID\t.*\n$/),
    });
  });

  it("ends quietly when its reader has seen enough", async () => {
    await client.addJobs(Array.from({ length: 1000 }, () => ({ identifier: "long", payload: "x".repeat(2_000) })));
    const env = { ...process.env, DATABASE_URL: database.connectionString };
    const child = spawn(process.execPath, [MAIN, "list", "--json", "--task", "long", "--limit", "1000"], { env });
    const error = collect(child.stderr);
    const closed = once(child, "close");
    await once(child.stdout, "data");
    child.stdout.destroy();
    await closed;
    expect({ code: child.exitCode, error: error.join("") }).toEqual({ code: 0, error: "" });
  });
});

describe("show", () => {
  it("prints a job as JSON, with the keys of the library", async () => {
    const job = await client.addJob("show", { nested: [1, null, "ä"] }, { flags: ["eu"] });
    const beside = { failedAttempts: [], logLines: [] };
    expect(await howdahJson(["show", job.id])).toEqual({ ...JSON.parse(JSON.stringify(job)), ...beside });
  });

  it("prints the payload and the last error for people", async () => {
    const { id } = await client.addJob("show", { to: "user@example.com" });
    await client.permanentlyFailJobs([id], "mailbox\nis full");
    const { out } = await howdah(["show", id]);
    expect(out).toContain(`Job ${id}\n`);
    expect(out).toMatch(/ state +failed\n/);
    expect(out).toContain("  last error\n    mailbox\n    is full\n");
    expect(out).toContain('  payload\n    {\n      "to": "user@example.com"\n    }\n');
  });

  it("fails for a job that is not there", async () => {
    const { code, out, error } = await howdah(["show", "999999999"]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(error).toMatch(/^howdah: HOWDAH_JOB_UNKNOWN: There is no job 999999999: .+\n$/);
  });
});

describe("why", () => {
  it("says what the client says, and below it what mends that", async () => {
    const { id } = await client.addJob("waits", {}, { runAt: "2100-01-01T00:00:00Z" });
    await client.pauseTask("waits");
    const { reasons } = await client.explainJob(id);
    const codes = ["scheduled", "task_paused", "no_worker"];
    expect(reasons.map(({ code }) => code)).toEqual(codes);
    expect(await howdahJson(["why", id])).toMatchObject({ id, reasons: codes.map((code) => ({ code })) });
    const { code, out } = await howdah(["why", id]);
    expect(code).toBe(0);
    for (const { message, remedy } of reasons.slice(1)) expect(out).toContain(`${message}\n  ${remedy}\n`);
    await client.resumeTask("waits");
    await client.completeJobs([id]);
    expect((await howdah(["why", id])).out).toMatch(/^There is no job/);
    expect(await howdah(["why", "x"])).toMatchObject({ code: 2 });
  });
});

describe("stats", () => {
  const counted = (value: number) => ({ value, exact: true, asOf: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) });

  it("counts the jobs in each state", async () => {
    await using other = await createDatabase({ schema: "My Schema" });
    await using inOther = await createClient({ driver: other.driver, schema: "My Schema" });
    const [failed] = await inOther.addJobs([{ identifier: "a" }, { identifier: "b" }, { identifier: "b" }]);
    await inOther.permanentlyFailJobs([failed.id]);
    await inOther.addJob("c", {}, { runAt: new Date(4_000_000_000_000) });
    const environment = { DATABASE_URL: other.connectionString, HOWDAH_SCHEMA: "My Schema" };
    expect(await howdahJson(["stats"], environment)).toEqual({
      ready: counted(2),
      scheduled: counted(1),
      running: counted(0),
      failed: counted(1),
    });
    expect(await howdahJson(["stats", "--by", "task"], environment)).toMatchObject({
      by: "task",
      groups: [
        { name: "b", ready: { value: 2 }, failed: { value: 0 } },
        { name: "a", ready: { value: 0 }, failed: { value: 1 } },
        { name: "c", scheduled: { value: 1 } },
      ],
    });
    expect((await howdah(["stats", "--by", "error"], environment)).out).toMatch(/Manually marked as failed\t1\n/);
    const { out } = await howdah(["stats"], environment);
    const lines = out.trimEnd().split("\n");
    expect(lines).toEqual(["STATE\tJOBS", "ready\t2", "scheduled\t1", "running\t0", "failed\t1", "total\t4"]);
  });

  it("does not create a schema to look at", async () => {
    await using empty = await createDatabase({ migrate: false });
    const { code, error } = await howdah(["stats"], { DATABASE_URL: empty.connectionString });
    expect(code).toBe(1);
    expect(error).toMatch(/^howdah: HOWDAH_SCHEMA_MISSING: .*howdah migrate.*\n$/);
    expect(await empty.sql("select to_regnamespace('howdah') as schema")).toEqual([{ schema: null }]);
  });
});

describe("what is not understood", () => {
  it.each([
    ["a command", ["lits"], "Unknown command 'lits'. Did you mean list?"],
    ["an option", ["list", "--jsno"], "Unknown option '--jsno'. Did you mean --json?"],
    ["an option of a command", ["list", "--quue", "x"], "Unknown option '--quue'. Did you mean --queue?"],
    ["a state", ["list", "--state", "done"], "Allowed choices are ready, scheduled, running, failed."],
    ["a priority", ["list", "--priority", "high"], "It has to be a whole number from -32768 to 32767."],
    ["a payload", ["list", "--payload", "{x}"], "It has to be JSON"],
    ["a number", ["list", "--payload", '{"a":"1e999","n":12345678901234567890}'], "12345678901234567890 is too large"],
    ["a page", ["list", "--after", "42"], "must be the `next` of a page"],
    ["a limit", ["list", "--limit", "1e9"], "It has to be a whole number from 1 to 1000."],
    ["an id", ["show", "abc"], '"abc" is not the id of a job'],
    ["a missing argument", ["show"], "Missing required argument 'id'."],
    ["one argument too many", ["stats", "now"], "Too many arguments for 'stats'."],
    ["a folder that is not there", ["demo", "/no/such/folder"], "does not exist"],
    ["an empty schema", ["stats", "--schema", ""], "--schema"],
  ])("answers %s with one line and exit code 2", async (_, args, said) => {
    const { code, out, error } = await howdah(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(error).toMatch(/^howdah: HOWDAH_OPTION_(UNKNOWN|INVALID): [^\n]+\n$/);
    expect(error).toContain(said);
  });

  it("says where to put the address of the database when there is none", async () => {
    const nowhere = { DATABASE_URL: undefined, PGHOST: undefined, PGUSER: undefined, PGDATABASE: undefined };
    const { code, error } = await howdah(["stats"], { ...nowhere, PGPORT: undefined });
    expect(code).toBe(2);
    expect(error).toMatch(/^howdah: HOWDAH_OPTION_INVALID: .*--database-url.*DATABASE_URL.*\n$/);
  });

  it.each([undefined, "debug"])("keeps the password to itself, with HOWDAH_LOG %s", async (level) => {
    const url = new URL(database.connectionString);
    url.pathname = "/no_such_database";
    const { password } = url;
    const { code, out, error } = await howdah(["stats", "--database-url", url.href], { HOWDAH_LOG: level });
    expect(code).toBe(1);
    expect(error).toContain("HOWDAH_DATABASE_UNREACHABLE");
    expect(password === "" ? "" : out + error).not.toContain(password || "nothing to hide");
    expect(error.includes("\n    at ")).toBe(level === "debug");
  });
});

describe("help", () => {
  it("is printed with every command in it", async () => {
    const { code, out } = await howdah(["--help"]);
    expect(code).toBe(0);
    for (const command of ["migrate", "stats", "list", "show <id>", "demo"]) expect(out).toContain(`\n  ${command}`);
  });

  it("is printed without a command, which is a mistake in a script", async () => {
    const { code, out, error } = await howdah([]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(error).toContain("Usage: howdah");
  });

  it("has examples for each command", async () => {
    for (const command of ["migrate", "stats", "list", "show", "demo"]) {
      expect((await howdah([command, "--help"])).out).toContain(`Examples:\n  howdah ${command}`);
    }
  });

  it("tells the version", async () => {
    expect((await howdah(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("workers", () => {
  it("says what each runs, and what its claims fail with", async () => {
    const running = [1, 2, 3, 4, 5, 6].map((id) => ({ id: `${id}`, task: "send\u001b[31m", queue: null, ms: 60_000 }));
    const claims = { failure: { ms: 1_000, error: "permission denied" } };
    await database.sql(
      `insert into howdah._private_workers (id, last_heartbeat_at, metadata) values ('busy', now(), $1)`,
      [JSON.stringify({ concurrency: 8, busy: 6, running, claims })],
    );
    const { out } = await howdah(["workers"]);
    expect(out).toContain("6/8");
    expect(out).toMatch(/send\S* 1 for 1 min \d s, .* 5 for 1 min \d s, 1 more/);
    expect(out).not.toContain("\u001b");
    expect(out).toContain("claims fail: permission denied");
    await database.sql("truncate howdah._private_workers");
  });

  it("lists who is registered, and recovers what silent ones hold", async () => {
    await database.sql(
      `insert into howdah._private_workers (id, last_heartbeat_at, metadata)
       values ('silent', now() - interval '6 minutes', '{"pid": 7, "host": "box"}')`,
    );
    const text = await howdah(["workers"]);
    expect(text.out).toMatch(/^silent\tbox\t7\t\t\t\d{4}-\S+Z\t\d{4}-\S+Z\tnone\tstale$/m);
    expect(await howdahJson(["workers"])).toMatchObject([{ id: "silent", session: "none", isStale: true }]);
    expect(await howdahJson(["workers", "--sweep", "--dry-run"])).toEqual({
      workerIds: ["silent"],
      jobCount: 0,
      refused: [],
    });
    expect((await howdah(["workers", "--sweep", "--threshold", "10m"])).out).toContain("0 dead");
    expect((await howdah(["workers", "--sweep"])).out).toContain("1 dead, 0 jobs returned");
    expect((await howdah(["workers"])).out).toMatch(/^WORKER\t.*\n$/);
    expect(await howdah(["workers", "--dry-run"])).toMatchObject({ code: 2 });
  });
});
