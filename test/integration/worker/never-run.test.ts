import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

/** What a process says that creates a worker and ends after this use of it. */
async function saidAfter(use: "nothing" | "runOnce" | "stop"): Promise<readonly string[]> {
  const script = new URL("../fixtures/forgetful-worker.mjs", import.meta.url);
  const { connectionString } = database;
  const args = [JSON.stringify({ connectionString, use })];
  await using forgetful = await startNode(script, { args, env: { HOWDAH_LOG: "warn" } });
  expect(await forgetful.ended).toEqual({ code: 0, signal: null });
  return forgetful.errorLines;
}

describe("a process that ends", () => {
  it("says so when a worker in it was created and never run", async () => {
    expect(await saidAfter("nothing")).toEqual([
      expect.stringMatching(/warn The process ends and a worker in it never ran: call run\(\)/),
    ]);
  });

  it.each(["runOnce", "stop"] as const)("says nothing after %s", async (then) => {
    expect(await saidAfter(then)).toEqual([]);
  });
});
