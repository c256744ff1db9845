import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import * as prettier from "prettier";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../docs/project-tree.ts";
import { createDatabase } from "../harness/database.ts";
import { firstProgram } from "../harness/first-program.ts";
import { installProject, runCommand } from "../harness/install-libraries.ts";
import { startNode, type TestProcess } from "../harness/process.ts";
import { packPackage } from "../harness/unpacked-package.ts";
import { esmBanner } from "../stack/page.ts";

/** What the first program may be long at most, as prettier writes it. */
const MAX_LINES = 30;

let scratch: string;
/** What a newcomer has written, in a folder that nothing of this repository can be found from. */
let project: string;
let installedAt: number;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "howdah-newcomer-"));
  project = join(scratch, "project");
  const { tarball } = await packPackage(scratch);
  await installProject(join(import.meta.dirname, "fixtures/newcomer"), project, tarball);
  installedAt = performance.now();
}, 900_000);
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Runs a program that the project has installed. Rejects with what it says when it ends with another code than 0. */
async function runTool(name: string, ...args: string[]): Promise<string> {
  const ours = ["DATABASE_URL", "FORCE_COLOR", "NODE_ENV", "NODE_OPTIONS"];
  const env = Object.entries(process.env).filter(([key]) => !key.startsWith("VITEST") && !ours.includes(key));
  const options = { cwd: project, env: { ...Object.fromEntries(env), NO_COLOR: "1" } };
  return promisify(execFile)(join(project, "node_modules/.bin", name), args, options).then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => {
      throw new Error(`${name} ${args.join(" ")}:\n${error.stdout}${error.stderr}`, { cause: error });
    },
  );
}

it("the first program of the README has few lines, compiles strictly, and runs its jobs on an embedded PostgreSQL", async () => {
  const source = firstProgram();
  const options = await prettier.resolveConfig(join(ROOT, "README.md"));
  expect(await prettier.check(source, { ...options, parser: "typescript" })).toBe(true);
  expect(source.trimEnd().split("\n").length).toBeLessThanOrEqual(MAX_LINES);

  await writeFile(join(project, "first/first.ts"), source);
  await runTool("tsc", "--project", "first");
  const env = { DATABASE_URL: undefined };
  await using first = await startNode(join(project, "dist/first/first.js"), { cwd: project, env });
  await first.line("an email to", 120_000);
  const seconds = (performance.now() - installedAt) / 1000;
  process.stdout.write(`newcomer: ${seconds.toFixed(1)} s from the end of npm install to the line of the first job\n`);
  const { code } = await first.ended;
  expect({ code, errors: first.errorLines.filter((line) => /error/i.test(line)) }).toEqual({ code: 0, errors: [] });
  expect(first.lines).toEqual(
    expect.arrayContaining(["attempt 1: an email to ada@example.com", "attempt 1: an email to bob@example.com"]),
  );
  expect(first.lines.join("\n")).toContain("completed: 2");
}, 180_000);

it("one command serves the page, and the first job is on it", async () => {
  await using database = await createDatabase();
  const [{ id }] = (await database.sql(`select id::text from howdah.add_job('first_job')`)) as [{ id: string }];
  const env = { DATABASE_URL: database.connectionString };
  const main = join(project, "node_modules/.bin/howdah");
  await using admin = await startNode(main, { cwd: project, env, args: ["admin", "--listen", "0", "--json"] });
  const { url, secret } = JSON.parse(await admin.line("{")) as { readonly url: string; readonly secret: string };
  const headers = { authorization: `Basic ${Buffer.from(`admin:${secret}`).toString("base64")}` };
  const page = await fetch(url, { headers });
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("<title>Howdah</title>")]);
  const jobs = await fetch(`${url}api/v1/jobs`, { headers });
  expect(await jobs.json()).toMatchObject({ jobs: [{ id, task: "first_job", state: "ready" }] });
  await assertEndsWell(admin);
}, 60_000);

it("a service, its worker and its tests compile strictly", async () => {
  await runCommand(project, ["npx", "prisma", "generate"]);
  expect(await runTool("tsc")).toBe("");
}, 120_000);

it("the service stores orders and their jobs by three libraries, and the worker runs them", async () => {
  await using database = await createDatabase({ migrate: false });
  const env = { DATABASE_URL: database.connectionString, HOWDAH_LOG: "error" };
  await using service = await startNode(join(project, "dist/main.js"), { cwd: project, env });
  const address = await service.line("http://");
  await using worker = await startNode(join(project, "dist/worker.js"), { cwd: project, env });
  const place = async (library: string, id: number, customer: string): Promise<number> => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ id, customer });
    return (await fetch(`${address}/orders/${library}`, { method: "POST", headers, body })).status;
  };
  for (const [index, library] of ["kysely", "drizzle", "prisma"].entries()) {
    expect(await place(library, index + 10, "")).toBe(422);
    expect(await place(library, index, library)).toBe(201);
    await worker.line(`order ${index} of ${library} is confirmed`);
  }
  await assertEndsWell(worker);
  await assertEndsWell(service);
  expect(worker.lines).toHaveLength(3);
  expect(await database.sql("select id from orders order by id")).toEqual([{ id: 0 }, { id: 1 }, { id: 2 }]);
  expect(await database.sql("select id from howdah.jobs")).toEqual([]);
}, 60_000);

it("its tests pass, with the testing kit and an embedded PostgreSQL", async () => {
  expect(await runTool("vitest", "run")).toMatch(/^ +Tests +5 passed \(5\)$/m);
}, 120_000);

it.each([
  ["esm", "mjs", [`--banner:js=${esmBanner()}`]],
  ["cjs", "cjs", []],
])(
  "its worker is bundled by esbuild (%s) and runs far from node_modules",
  async (format, ending, more) => {
    const folder = join(scratch, "bundle");
    await mkdir(folder, { recursive: true });
    const file = join(folder, `worker.${ending}`);
    const options = ["--bundle", "--platform=node", `--format=${format}`, "--external:pg-native", `--outfile=${file}`];
    await runTool("esbuild", "src/worker.ts", ...options, ...more);
    await assertRunsJob(file);
  },
  60_000,
);

it("its worker is built by vite for the server", async () => {
  await runTool("vite", "build", "--ssr", "src/worker.ts", "--outDir", "dist/vite");
  await assertRunsJob(join(project, "dist/vite/worker.js"));
}, 60_000);

/** Runs a job in the worker of a file, which then ends at SIGTERM. */
async function assertRunsJob(file: string): Promise<void> {
  await using database = await createDatabase();
  await database.sql("create table orders as select 7 as id, 'ada' as customer");
  await database.sql(`select from howdah.add_job('confirm_order', '{"order": 7}')`);
  const env = { DATABASE_URL: database.connectionString, HOWDAH_LOG: "error" };
  await using worker = await startNode(file, { cwd: dirname(file), env });
  await worker.line("order 7 of ada is confirmed");
  await assertEndsWell(worker);
}

async function assertEndsWell(child: TestProcess): Promise<void> {
  child.kill("SIGTERM");
  const errors = child.errorLines;
  expect({ end: await child.ended, errors }).toEqual({ end: { code: 0, signal: null }, errors: [] });
}
