import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readProjectFile, ROOT } from "../../docs/project-tree.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase({ migrate: false });
});
afterAll(() => database.drop());

/** What each example says on stdout; a pattern where that differs from run to run. */
const OUTPUT: Readonly<Record<string, readonly unknown[]>> = {
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
    expect.stringMatching(/^job of 3: .*camel\.png is still being uploaded$/),
    "attempt 2: camel.png",
  ],
  "05-local-queue.mjs": [expect.stringMatching(/^2000 jobs completed, claimed in \d{1,2} fetches$/)],
  "06-exactly-once.mjs": [
    "pay: SIGKILL, ran again: true, ada has 80",
    "pay_once: SIGKILL, ran again: false, bob has 90",
  ],
  "07-retries.mjs": [
    "call_partner: answered in attempt 3",
    "deliver: failed, there is no address",
    "deliver: scheduled, 0 attempts counted",
  ],
  "08-cron.mjs": ["every 24 hours, at 10:30 UTC", "a report for camels, asked for at a time: true"],
  "09-shutdown.mjs": ["attempt 1 begins", "interrupted: shutdown", "attempt 1 begins", "attempt 1 ends"],
  "10-hooks.mjs": ["hello eve", "completed 2, failed 0"],
  "11-tracing.mjs": ["add resize belongs to the request: true", "run resize is linked to it: true"],
  "12-testing.mjs": ["a new customer is greeted", "a customer of 2099 is greeted in 2099"],
  "17-gather.mjs": ["one call for ada, bob, cleo, dan, eve", "job of bob: bob is busy", "one call for bob"],
  "18-result.mjs": ["the sum is 10", "the other sum takes longer than we wait"],
};

/** Those that need libraries, with the tests that run them. Folders are projects of their own. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "13-orms.mjs": "test/transactions/example.test.ts",
  "14-fastify.mjs": "test/stack/projects.test.ts",
  "15-nest": "test/stack/projects.test.ts",
  "16-next": "test/stack/projects.test.ts",
};

const all = readdirSync(join(ROOT, "examples")).filter((name) => /^\d/.test(name));
const examples = all.filter((name) => !(name in ELSEWHERE));

it("knows what every example says, or which test does", () => {
  expect(Object.keys(OUTPUT)).toEqual(examples);
  for (const [example, test] of Object.entries(ELSEWHERE)) expect(readProjectFile(test)).toContain(`"${example}"`);
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
  const errors: unknown = expect.any(Array); // shown when the rest is not as expected
  expect({ code, lines: child.lines, errors: child.errorLines }).toEqual({ code: 0, lines: OUTPUT[example], errors });
}
