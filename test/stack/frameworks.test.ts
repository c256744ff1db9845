import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";
import { blockWith } from "./page.ts";

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createDatabase();
  // Inside of the libraries' folder, so that a program finds them.
  await mkdir(join(import.meta.dirname, "node_modules/.cache"), { recursive: true });
  folder = await mkdtemp(join(import.meta.dirname, "node_modules/.cache/frameworks-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await database.drop();
});

/** What follows the block of a page: it asks for an email, and ends in good order. */
const PROGRAMS: Readonly<Record<string, string>> = {
  buildFastify: `
    const app = await buildFastify(process.env.DATABASE_URL);
    const { statusCode } = await app.inject({ method: "POST", url: "/emails", payload: { to: "fastify" } });
    const watch = await createClient();
    while (await isBusy(watch)) await sleep(20);
    await watch.close();
    await app.close();
    console.log("answered " + statusCode);`,
  buildHono: `
    const client = await createClient();
    const body = JSON.stringify({ to: "hono" });
    const { status } = await buildHono(client).request("/emails", { method: "POST", body });
    await client.close();
    console.log("answered " + status);`,
  buildExpress: `
    const client = await createClient();
    const server = buildExpress(client).listen(0);
    await once(server, "listening");
    const { status } = await fetch("http://127.0.0.1:" + server.address().port + "/emails", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ to: "express" }),
    });
    server.close();
    await client.close();
    console.log("answered " + status);`,
  JobsModule: `
    const { NestFactory } = await import("@nestjs/core");
    class App {}
    Module({ imports: [JobsModule], providers: [Mail] })(App);
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    await app.get(Mail).send("nest");
    const watch = await createClient();
    while (await isBusy(watch)) await sleep(20);
    await watch.close();
    await app.close();
    console.log("answered 202");`,
};

const HELPERS = `
  import { once } from "node:events";
  import { setTimeout as sleep } from "node:timers/promises";
  import { createClient } from "howdah";
  async function isBusy(client) {
    const { ready, running } = await client.stats();
    return ready.value + running.value > 0;
  }
`;

it.each(Object.keys(PROGRAMS))("the block with %s answers, and its job is stored or has run", async (name) => {
  const source = [HELPERS, blockWith("identifier:"), blockWith(name), PROGRAMS[name]].join("\n");
  const file = join(folder, `${name}.mjs`);
  await writeFile(file, ts.transpile(source, OPTIONS));
  await database.sql("truncate howdah._private_jobs");
  await using child = await startNode(file, { env: { DATABASE_URL: database.connectionString, HOWDAH_LOG: "error" } });
  const { code } = await child.ended;
  const errors: unknown = expect.any(Array); // shown when the rest is not as expected
  expect({ code, last: child.lines.at(-1), errors: child.errorLines }).toEqual({
    code: 0,
    last: "answered 202",
    errors,
  });
  const left = await database.sql("select payload->>'to' as to from howdah._private_jobs");
  const runsJobs = !["buildHono", "buildExpress"].includes(name);
  expect(left).toEqual(runsJobs ? [] : [{ to: name.slice("build".length).toLowerCase() }]);
});

const OPTIONS = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  experimentalDecorators: true,
};
