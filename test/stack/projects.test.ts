import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../docs/project-tree.ts";
import { freePort } from "../../src/embedded/free-port.ts";
import { createClient } from "../../src/index.ts";
import { ADA, assertMounted } from "../harness/admin-mount.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { installProject } from "../harness/install-libraries.ts";
import { startNode } from "../harness/process.ts";
import { until } from "../harness/until.ts";
import { packPackage } from "../harness/unpacked-package.ts";

let database: TestDatabase;
let scratch: string;
let tarball: string;
beforeAll(async () => {
  database = await createDatabase();
  scratch = await mkdtemp(join(tmpdir(), "howdah-projects-"));
  ({ tarball } = await packPackage(scratch));
});
afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
  await database.drop();
});

/** The project of an example with the packed package in it, as its reader has it. */
async function projectOf(example: string): Promise<string> {
  const project = join(scratch, example);
  await installProject(join(ROOT, "examples", example), project, tarball);
  return project;
}

/** Runs a program that a project has installed. */
async function build(project: string, program: string, ...args: string[]): Promise<void> {
  const env = { ...process.env, NODE_ENV: undefined, NEXT_TELEMETRY_DISABLED: "1" };
  await promisify(execFile)(process.execPath, [join(project, "node_modules", program), ...args], { cwd: project, env });
}

async function askForEmail(address: string, to: string): Promise<number> {
  const headers = { "content-type": "application/json" };
  return (await fetch(`${address}/emails`, { method: "POST", headers, body: JSON.stringify({ to }) })).status;
}

async function activeWorkers(): Promise<number> {
  await using client = await createClient({ connectionString: database.connectionString });
  return (await client.listActiveWorkers()).length;
}

const environment = () => ({ DATABASE_URL: database.connectionString, HOWDAH_LOG: "error" });

it("the example of Nest is compiled, answers, runs the job, and stops its worker at SIGTERM", async () => {
  const project = await projectOf("15-nest");
  await build(project, "typescript/bin/tsc");
  const env = { ...environment(), PORT: "0" };
  await using app = await startNode(join(project, "dist/main.js"), { cwd: project, env });
  const address = (await app.line("listening on", 30_000)).replace("listening on ", "");
  expect(await askForEmail(address, "nest")).toBe(202);
  await app.line("an email to nest");
  expect(await activeWorkers()).toBe(1);
  app.kill("SIGTERM");
  await app.ended;
  expect({ workers: await activeWorkers(), errors: app.errorLines }).toEqual({ workers: 0, errors: [] });
}, 300_000);

it("the example of Next.js is built, its route adds a job, the worker beside it runs it, and the page is behind /admin", async () => {
  const project = await projectOf("16-next");
  await build(project, "next/dist/bin/next", "build");
  const port = await freePort();
  const env = { ...environment(), NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1", ADMIN_PASSWORD: ADA.password };
  const args = ["start", "--hostname", "127.0.0.1", "--port", String(port)];
  await using server = await startNode(join(project, "node_modules/next/dist/bin/next"), { cwd: project, env, args });
  await using worker = await startNode(join(project, "worker.mjs"), { cwd: project, env });
  const address = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(address)).ok, { deadlineMs: 60_000, message: "the page of Next.js" });
  expect(await askForEmail(address, "next")).toBe(202);
  await worker.line("an email to next");
  await assertMounted(`${address}/admin`);
  worker.kill("SIGTERM");
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(server.errorLines).toEqual([]);
}, 600_000);

it("the example of Fastify answers before its job has run", async () => {
  // Beside the libraries, so that it finds them.
  const folder = join(import.meta.dirname, "node_modules/.cache");
  await mkdir(folder, { recursive: true });
  const example = "14-fastify.mjs";
  const file = join(folder, example);
  await cp(join(ROOT, "examples", example), file);
  await using child = await startNode(file, { env: environment() });
  const { code } = await child.ended;
  expect({ code, errors: child.errorLines }).toEqual({ code: 0, errors: [] });
  expect([...child.lines].sort()).toEqual(["an email to ada@example.com", "answered 202"]);
});
