import type { TestProject } from "vitest/node";
import { startPostgresUnlessGiven, type PostgresVersion } from "../../src/embedded/index.ts";
import { createTemplate, dropTemplate, type Template } from "./template.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A superuser's way to the server of this run. */
    serverUrl: string;
    /** The database that `createDatabase` copies. */
    template: Template;
  }
}

/**
 * One server and one template database for a whole run. The server is that of
 * `DATABASE_URL`, or an embedded one of the major version `HOWDAH_TEST_POSTGRES`
 * (default 18).
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgresUnlessGiven({
    version: (process.env["HOWDAH_TEST_POSTGRES"] || "18") as PostgresVersion,
    // Nothing here has to survive a crash of the machine, and many databases share little memory.
    settings: { fsync: false, full_page_writes: false, max_connections: 200, shared_buffers: "64MB" },
  });
  const template = await createTemplate(server.connectionString);
  project.provide("serverUrl", server.connectionString);
  project.provide("template", template);
  return async () => {
    await dropTemplate(server.connectionString, template);
    await server.stop("immediate");
  };
}
