import { join } from "node:path";
import { afterAll, beforeAll, it } from "vitest";
import { ROOT } from "../../docs/project-tree.ts";
import { assertProgramMounts, type MountProgram } from "../../harness/admin-mount.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const SERVE = `
import { serve } from "@hono/node-server";
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log("port " + port));`;

/** The other frameworks are in test/stack. */
const PROGRAMS: Readonly<Record<string, MountProgram>> = {
  "node:http": {
    block: `from "node:http"`,
    listen: `server.listen(0, "127.0.0.1", () => console.log("port " + server.address().port));`,
  },
  Hono: { block: `from "hono"`, listen: SERVE },
  "Hono that takes the prefix off": {
    block: `from "hono"`,
    change: [
      `app.all("/admin/*", (context) => admin.fetch(context.req.raw));`,
      `app.mount("/admin", admin.fetch.bind(admin));`,
    ],
    listen: SERVE,
  },
};

it.each(Object.entries(PROGRAMS))("%s mounts the page behind a prefix", async (_name, program) => {
  // Where the package finds itself by its name.
  await assertProgramMounts(program, { parent: join(ROOT, ".cache"), database });
});
