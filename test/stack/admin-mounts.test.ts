import { join } from "node:path";
import { afterAll, beforeAll, it } from "vitest";
import { assertProgramMounts, type MountProgram } from "../harness/admin-mount.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const LISTEN = `app.listen(0, "127.0.0.1", function () { console.log("port " + this.address().port); });`;

const PROGRAMS: Readonly<Record<string, MountProgram>> = {
  Express: { block: `from "express"`, listen: LISTEN },
  "Express behind a parser of bodies": {
    block: `from "express"`,
    change: ["= express();", "= express().use(express.json());"],
    listen: LISTEN,
  },
  Fastify: {
    block: `from "fastify"`,
    listen: `await app.listen({ port: 0, host: "127.0.0.1" }); console.log("port " + app.server.address().port);`,
  },
  Koa: { block: `from "koa"`, listen: LISTEN },
};

// Inside of the libraries' folder, so that a program finds them.
const parent = join(import.meta.dirname, "node_modules/.cache");

it.each(Object.entries(PROGRAMS))("%s mounts the page behind a prefix", async (_name, program) => {
  await assertProgramMounts(program, { parent, database });
});
