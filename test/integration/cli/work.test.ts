import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, type Client } from "../../../src/index.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import type { CliOutput } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

let database: TestDatabase;
let client: Client;
let folder: string;

beforeAll(async () => {
  database = await createDatabase();
  client = await createClient({ driver: database.driver, migrate: false });
});

afterAll(() => database.drop());

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
  folder = await mkdtemp(join(tmpdir(), "howdah-work-"));
  return () => rm(folder, { recursive: true, force: true });
});

/** Writes files below the folder; those that begin with "#!" can be executed. */
async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    if (text.startsWith("#!")) await chmod(path, 0o755);
  }
}

function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = { ...process.env, DATABASE_URL: database.connectionString, HOWDAH_SCHEMA: undefined, ...environment };
  return spawn(process.execPath, [MAIN, "work", ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function work(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<CliOutput> {
  const child = start(args, environment);
  const [out, error] = [collect(child.stdout), collect(child.stderr)];
  await once(child, "close");
  return { code: Number(child.exitCode), out: out.join(""), error: error.join("") };
}

function collect(stream: NodeJS.ReadableStream | null): string[] {
  const chunks: string[] = [];
  stream?.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  return chunks;
}

/** Writes what a task was given to a file named after it. */
const NOTING = `import { writeFile } from "node:fs/promises";
export default (payload, { job }) => writeFile("done-" + job.task.replace("/", "-"), JSON.stringify(payload));
`;

async function noted(task: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, `done-${task}`), "utf8"));
}

describe("a folder", () => {
  it("has a task for each module and each program, by its path", async () => {
    await write({
      "tasks/plain.mjs": NOTING,
      "tasks/mail/send.mjs": NOTING,
      "tasks/typed.ts": `${NOTING}export type Unused = { readonly a: string };\n`,
      "tasks/old.cjs": `const { writeFileSync } = require("node:fs");
module.exports = (payload) => writeFileSync("done-old", JSON.stringify(payload));
`,
      "tasks/several.mjs": `export const one = () => {};\nexport const two = () => {};\nexport const limit = 3;\n`,
      "tasks/shell.sh": `#!/bin/sh\ncat > done-shell\n`,
      "tasks/_helper.mjs": "throw new Error('not to be loaded');\n",
      "tasks/plain.test.mjs": "throw new Error('not to be loaded');\n",
      "tasks/README.md": "what this is\n",
    });
    const names = ["plain", "mail/send", "typed", "old", "one", "two", "shell"];
    for (const name of names) await client.addJob(name, { name });
    const { code, out, error } = await work(["tasks", "--once", "--json"], { HOWDAH_LOG: "warn" });
    expect({ code, error }).toEqual({
      code: 0,
      error: "Left out README.md: it exports no task, and is no executable file.\n",
    });
    expect(JSON.parse(out)).toMatchObject({ completed: names.length, failed: 0, ended: "drained" });
    for (const name of ["plain", "mail/send", "typed", "old", "shell"])
      expect(await noted(name.replace("/", "-"))).toEqual({ name });
  });

  it("is the folder tasks when nothing is named", async () => {
    await write({ "tasks/plain.mjs": NOTING });
    await client.addJob("plain", 1);
    expect((await work(["--once"])).out).toBe("Completed 1, failed 0; ended: drained.\n");
  });

  it("is run with the names that graphile-worker has for options", async () => {
    await write({ "tasks/plain.mjs": NOTING });
    await client.addJob("plain", 1);
    const words = ["--once", "-j", "2", "--connection", database.connectionString];
    expect((await work(words, { DATABASE_URL: "postgres://none@127.0.0.1:1/none" })).out).toBe(
      "Completed 1, failed 0; ended: drained.\n",
    );
  });
});

describe("a module", () => {
  it("exports tasks and functions by their names, or a list", async () => {
    const task = `{ kind: "single", identifier: "made", run: () => {} }`;
    await write({
      "named.mjs": `export const first = () => {};\nexport const second = ${task};\nexport default () => {};\n`,
      "list.mjs": `export default [${task}];\n`,
      "record.cjs": `module.exports = { first() {}, made: ${task} };\n`,
    });
    for (const [file, names] of [
      ["named.mjs", ["first", "made", "named"]],
      ["list.mjs", ["made"]],
      ["record.cjs", ["first", "made"]],
    ] as const) {
      for (const name of names) await client.addJob(name);
      expect(JSON.parse((await work([file, "--once", "--json"])).out)).toMatchObject({ completed: names.length });
    }
  });

  it("may be the options of a worker, which the command line comes before", async () => {
    await write({
      "howdah.config.ts": `import type { Stats } from "node:fs";
export type Kept = Stats;
const seen: string = "state of the configuration";
export default {
  state: { seen },
  concurrency: 3,
  tasks: [{ kind: "single", identifier: "told", run: (_: unknown, { state }: { state: { seen: string } }) => {
    if (state.seen !== seen) throw new Error("no state");
  } }],
};
`,
    });
    await client.addJob("told");
    const { out, error } = await work(["--once", "--json", "--concurrency", "2"], { HOWDAH_LOG: "debug" });
    expect(JSON.parse(out)).toMatchObject({ completed: 1, failed: 0 });
    expect(error).not.toContain("no state");
  });
});

describe("a program", () => {
  it("is told of its job by variables, and of the payload on stdin", async () => {
    await write({
      "tasks/told.sh": `#!/bin/sh\ncat > payload\nenv | grep '^HOWDAH_JOB\\|^HOWDAH_TASK' | sort > variables\n`,
    });
    const runAt = new Date(Date.UTC(2020, 0, 31));
    const spec = { queueName: "mail", jobKey: "k", priority: 3, maxAttempts: 9, runAt };
    const { id } = await client.addJob("told", { text: "ü \u2028", large: "x".repeat(200_000) }, spec);
    expect(JSON.parse((await work(["tasks", "--once", "--json"])).out)).toMatchObject({ completed: 1 });
    expect(JSON.parse(await readFile(join(folder, "payload"), "utf8"))).toEqual({
      text: "ü \u2028",
      large: "x".repeat(200_000),
    });
    expect((await readFile(join(folder, "variables"), "utf8")).trim().split("\n")).toEqual([
      "HOWDAH_JOB_ATTEMPT=1",
      `HOWDAH_JOB_ID=${id}`,
      "HOWDAH_JOB_KEY=k",
      "HOWDAH_JOB_MAX_ATTEMPTS=9",
      "HOWDAH_JOB_PRIORITY=3",
      "HOWDAH_JOB_QUEUE=mail",
      "HOWDAH_JOB_RUN_AT=2020-01-31T00:00:00.000Z",
      "HOWDAH_TASK=told",
    ]);
  });

  it("need not read its payload, and its exit code is the outcome", async () => {
    await write({
      "tasks/fine.sh": "#!/bin/sh\necho working\nexit 0\n",
      "tasks/broken.sh": "#!/bin/sh\necho first >&2\necho 'no such account' >&2\nexit 3\n",
      "tasks/hopeless.sh": "#!/bin/sh\necho 'bad address' >&2\nexit 65\n",
      "tasks/killed.sh": "#!/bin/sh\nkill -SEGV $$\n",
      "tasks/nothing.sh": "#!/no/such/interpreter\n",
    });
    const large = "x".repeat(1_000_000);
    const names = ["fine", "broken", "hopeless", "killed", "nothing"];
    for (const name of names) await client.addJob(name, { large });
    const { error } = await work(["tasks", "--once"], { HOWDAH_LOG: "info" });
    expect(error).toMatch(/working.*task=fine/);
    const left = new Map((await client.listJobs()).jobs.map((job) => [job.task, job]));
    expect(left.has("fine")).toBe(false);
    expect(left.get("broken")).toMatchObject({
      state: "scheduled",
      attempts: 1,
      lastError: "The program ended with exit code 3: no such account",
    });
    expect(left.get("hopeless")).toMatchObject({
      state: "failed",
      lastError: "The program ended with exit code 65: bad address",
    });
    expect(left.get("killed")?.lastError).toBe("The program was ended by SIGSEGV.");
    expect(left.get("nothing")?.lastError).toMatch(/ENOENT/);
  });

  it("is ended with all that it started when its time is over", async () => {
    await write({ "tasks/slow.sh": "#!/bin/sh\nsleep 600 &\necho $! > child\nwait\n" });
    await client.addJob("slow");
    await work(["tasks", "--once", "--timeout", "1s"], { HOWDAH_LOG: "silent" });
    const [job] = (await client.listJobs()).jobs;
    expect(job).toMatchObject({ task: "slow", attempts: 1, lastError: expect.stringContaining("1000 ms") as unknown });
    const child = Number(await readFile(join(folder, "child"), "utf8"));
    await until(() => !isAlive(child));
  });

  it("is ended when its worker is stopped, and its job runs again", async () => {
    await write({ "tasks/slow.sh": "#!/bin/sh\necho $$ > started\nexec sleep 600\n" });
    await client.addJob("slow");
    const child = start(["tasks"], { HOWDAH_LOG: "silent" });
    const pid = Number(await until(() => readFile(join(folder, "started"), "utf8").catch(() => "")));
    child.kill("SIGTERM");
    await once(child, "close");
    expect(isAlive(pid)).toBe(false);
    expect((await client.listJobs()).jobs).toMatchObject([{ task: "slow", lockedBy: null, attempts: 0 }]);
  });

  it("may write a line without an end, of which the beginning is kept", async () => {
    await write({ "tasks/endless.sh": `#!/bin/sh\nhead -c 200000000 /dev/zero | tr '\\0' x >&2\nexit 65\n` });
    await client.addJob("endless");
    const { code } = await work(["tasks", "--once"], {
      HOWDAH_LOG: "silent",
      NODE_OPTIONS: "--max-old-space-size=100",
    });
    expect(code).toBe(0);
    const [job] = (await client.listJobs()).jobs;
    expect(job?.lastError).toMatch(/^The program ended with exit code 65: x{2000}/);
  });

  it("completes its job when it ends, whatever it leaves behind", async () => {
    await write({ "tasks/forks.sh": "#!/bin/sh\nsleep 600 &\necho $! > child\n" });
    await client.addJob("forks");
    const { out } = await work(["tasks", "--once"], { HOWDAH_LOG: "silent" });
    process.kill(Number(await readFile(join(folder, "child"), "utf8")));
    expect(out).toBe("Completed 1, failed 0; ended: drained.\n");
  });

  function isAlive(pid: number): boolean {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  }
});

describe("what was given wrongly", () => {
  it.each([
    [[], /Say which tasks to run: howdah work FILE or howdah work FOLDER/],
    [["nowhere"], /There is no file or folder "nowhere"\.$/m],
    [["jbos"], /There is no file or folder "jbos"\. Did you mean "jobs"\?/],
    [["jobs/male.mjs"], /There is no file or folder "jobs\/male\.mjs"\. Did you mean "jobs\/mail\.mjs"\?/],
    [["jbos/mail.mjs"], /There is no file or folder "jbos\/mail\.mjs"\. Did you mean "jobs"\?/],
    [["fine.js"], /There is no file or folder "fine\.js"\. Did you mean "fine\.mjs"\?/],
    [["empty"], /Folder ".*empty" has no module and no executable file/],
    [["twice"], /HOWDAH_TASK_DUPLICATE: Task "same" is in two files, "same.mjs" and "same.sh"/],
    [["constants.mjs"], /"constants.mjs" exports no task: export what defineTask\(\) returns/],
    [["wrong.mjs"], /The default export of ".*wrong.mjs" has to be a task.*found 7/],
    [["fine.mjs", "--concurrency", "0"], /whole number, at least 1/],
    [["fine.mjs", "--max-jobs", "3"], /go with --once only/],
    [["fine.mjs", "--crontab", "nowhere"], /--crontab cannot be read: ENOENT/],
    [["throws.mjs"], /".*throws.mjs" cannot be loaded: the module throws/],
  ] as const)("%j is said", async (args, said) => {
    await write({
      "empty/README.md": "nothing\n",
      "jobs/mail.mjs": "export default () => {};\n",
      "twice/same.mjs": "export default () => {};\n",
      "twice/same.sh": "#!/bin/sh\n",
      "constants.mjs": "export const limit = 3;\n",
      "wrong.mjs": "export default 7;\n",
      "fine.mjs": "export default () => {};\n",
      "throws.mjs": "throw new Error('the module throws');\n",
    });
    const { code, out, error } = await work(args);
    expect({ out, isFailure: code > 0 }).toEqual({ out: "", isFailure: true });
    expect(error).toMatch(said);
    expect(error.trim().split("\n")).toHaveLength(1);
  });
});
