import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../docs/project-tree.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase({ migrate: false });
});
afterAll(() => database.drop());

/** What each example says on stdout; a regular expression where that differs from run to run. */
const OUTPUT: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  "01-first-job.mjs": [
    "attempt 1: an email to bob@example.com",
    "attempt 1: an email to ada@example.com",
    "2 jobs completed, drained",
    "the third is scheduled for 2099-01-01T08:00:00.000Z",
  ],
  "02-serial-queue.mjs": ["ada: 1 2 3 4 5, 1 at once", "bob: 1 2 3 4 5, 1 at once", "eve: 1 2 3 4 5, 1 at once"],
  "03-transaction.mjs": ["rolled back: 100 saddles were not paid for", "confirmed: 3 blankets", "1 job completed"],
  "04-batch.mjs": [
    "attempt 1: tiger.png, camel.png, crane.png",
    /^job of 3: .*camel\.png is still being uploaded$/,
    "attempt 2: camel.png",
  ],
  "05-local-queue.mjs": [/^2000 jobs completed, claimed in \d{1,2} fetches$/],
};

const examples = readdirSync(join(ROOT, "examples")).filter((file) => file.endsWith(".mjs"));

it("knows what every example says", () => {
  expect(Object.keys(OUTPUT)).toEqual(examples);
});

it.each(examples)("%s runs, and says so", async (example) => {
  await assertOutput(example, { DATABASE_URL: database.connectionString });
});

it("runs an example without any database of the reader's own", async () => {
  await assertOutput("01-first-job.mjs", { DATABASE_URL: undefined });
});

async function assertOutput(example: string, env: Readonly<Record<string, string | undefined>>): Promise<void> {
  await using child = await startNode(join(ROOT, "examples", example), { env: { HOWDAH_LOG: "error", ...env } });
  const { code } = await child.ended;
  const expected = (OUTPUT[example] ?? []).map((line) =>
    typeof line === "string" ? line : expect.stringMatching(line),
  );
  expect({ code, lines: child.lines }, child.errorLines.join("\n")).toEqual({ code: 0, lines: expected });
}
