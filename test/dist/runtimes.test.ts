import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { firstProgram } from "../harness/first-program.ts";
import { installProject } from "../harness/install-libraries.ts";
import { type ProcessOptions, startNode, type TestProcess } from "../harness/process.ts";
import { packPackage } from "../harness/unpacked-package.ts";

/** One of the runtimes that fixtures/runtimes/package.json names. */
interface Runtime {
  readonly name: string;
  /** Its program in node_modules, and what comes before the name of a script. */
  readonly program: string;
  readonly args: readonly string[];
  /** What it needs more to start a server. */
  readonly argsOfServers?: readonly string[];
  readonly runsTypeScript: boolean;
}

/** Deno writes into a cache and asks for updates, if it is not told otherwise. */
const environmentOfDeno = () => ({ DENO_DIR: join(scratch, "deno"), DENO_NO_UPDATE_CHECK: "1" });

/** What the page on runtimes tells readers to allow. */
const DENO = ["run", "--allow-net", "--allow-env", "--allow-read", "--allow-sys"];

const RUNTIMES: readonly Runtime[] = [
  { name: "Node.js 20.19.0", program: "node-20/bin/node", args: [], runsTypeScript: false },
  { name: "Node.js 22.23.5", program: "node-22/bin/node", args: [], runsTypeScript: true },
  { name: "Node.js 24.22.3", program: "node-24/bin/node", args: [], runsTypeScript: true },
  { name: "Bun 1.4.5", program: "@oven/bun-linux-x64/bin/bun", args: ["run"], runsTypeScript: true },
  {
    name: "Deno 2.9.6",
    program: "@deno/linux-x64-glibc/deno",
    args: DENO,
    argsOfServers: ["--allow-run", "--allow-write"],
    runsTypeScript: true,
  },
];

/** Deno reads and writes nothing below /dev without all permissions, and a temporary folder may be there. */
const TEMPORARY = "/tmp";

let scratch: string;
let project: string;
let database: TestDatabase;
beforeAll(async () => {
  scratch = await mkdtemp(join(TEMPORARY, "howdah-runtimes-"));
  project = join(scratch, "project");
  const { tarball } = await packPackage(scratch);
  await installProject(join(import.meta.dirname, "fixtures/runtimes"), project, tarball);
  await writeFile(join(project, "first.ts"), firstProgram());
  await writeFile(join(project, "first.mjs"), ts.transpile(firstProgram(), TRANSPILE));
  database = await createDatabase();
}, 900_000);
afterAll(async () => {
  await database.drop();
  await rm(scratch, { recursive: true, force: true });
});

const TRANSPILE = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };

describe.skipIf(process.platform !== "linux" || process.arch !== "x64").each(RUNTIMES)("in $name", (runtime) => {
  async function start(script: string, options: ProcessOptions = {}, more: readonly string[] = []) {
    const program = join(project, "node_modules", runtime.program);
    return startNode(join(project, script), {
      cwd: project,
      runtime: [program, ...runtime.args, ...more],
      ...options,
      env: {
        DATABASE_URL: database.connectionString,
        HOWDAH_LOG: "error",
        TMPDIR: TEMPORARY,
        ...environmentOfDeno(),
        ...options.env,
      },
    });
  }

  async function assertSays(child: TestProcess, lines: unknown): Promise<void> {
    const end = await child.ended;
    const errors: unknown = expect.any(Array); // shown when the rest is not as expected
    expect({ ...end, lines: child.lines, errors: child.errorLines }).toEqual({ code: 0, signal: null, lines, errors });
  }

  it("a worker is notified, times out handlers, keeps queues serial and runs jobs of transactions", async () => {
    await using child = await start("application.mjs");
    await assertSays(child, [
      "a worker ran first second",
      "a job timed out: HOWDAH_ABORTED_TIMEOUT",
      "4 jobs of transactions, in order: 1 2 3 4",
    ]);
  });

  it("SIGTERM ends a worker, which returns the job that it runs", async () => {
    await database.sql("select from howdah.add_job('slow', '{}')");
    await using child = await start("worker.mjs");
    await child.line("begins");
    child.kill("SIGTERM");
    await assertSays(child, ["begins", "interrupted: HOWDAH_ABORTED_SHUTDOWN", "ended"]);
    const left = await database.sql("select attempts, locked_by from howdah.jobs where task_identifier = 'slow'");
    expect(left).toEqual([{ attempts: 0, locked_by: null }]);
    await database.sql("truncate howdah._private_jobs");
  });

  it("the testing kit runs a handler alone, and drains a queue", async () => {
    await using child = await start("testing.mjs");
    await assertSays(child, ["drained: failed completed"]);
  });

  it("a CommonJS program requires the package", async () => {
    await using child = await start("program.cjs");
    await assertSays(child, [expect.stringMatching(/^required: \d+ jobs, function$/)]);
  });

  it("the command line answers", async () => {
    await using child = await start("node_modules/howdah/dist/cli/main.js", { args: ["stats", "--json"] });
    await child.ended;
    expect(child.errorLines).toEqual([]);
    expect(JSON.parse(child.lines.join("\n"))).toHaveProperty("ready");
  });

  it("the first program of the README runs its jobs on an embedded PostgreSQL", async () => {
    const script = runtime.runsTypeScript ? "first.ts" : "first.mjs";
    await using child = await start(script, { env: { DATABASE_URL: undefined } }, runtime.argsOfServers);
    const line = (name: string) => `attempt 1: an email to ${name}@example.com`;
    await assertSays(child, expect.arrayContaining([line("ada"), line("bob")]));
  }, 60_000);
});
