import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { createClient, defineTask } from "../../../src/index.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { runCli, wordsOf } from "../../harness/run-cli.ts";
import { createTestWorker } from "../../harness/worker.ts";
import { readProjectFile } from "../../docs/project-tree.ts";

const page = readProjectFile("docs/guides/runbook.md");

/** The commands of the page, each once, by the symptom that they are under. */
const COMMANDS = page.split(/^## /m).flatMap((section) => {
  const [title = ""] = section.split("\n", 1);
  return [...section.matchAll(/^```text\n([^`]*)^```/gm)].flatMap(([, block = ""]) =>
    block
      .trim()
      .split("\n")
      .map((line) => [title, line.split(/ {2}/, 1)[0] ?? ""] as const),
  );
});

let database: TestDatabase;
let worker: Awaited<ReturnType<typeof createTestWorker>>;
let ended: Promise<void>;

beforeAll(async () => {
  vi.stubEnv("HOWDAH_LOG", "silent");
  database = await createDatabase();
  const client = await createClient({ driver: database.driver, migrate: false });
  await database.sql("alter table howdah._private_jobs alter column id restart with 42");
  await client.addJob("send_email", {}, { queueName: "mail", runAt: "2035-01-31T08:00:00Z" });
  await client.addJob("charge_card");
  const { id } = await client.addJob("send_email");
  await client.permanentlyFailJobs([id], "connect ECONNREFUSED");
  worker = await createTestWorker(database, { tasks: [defineTask({ identifier: "other", run: () => undefined })] });
  ended = worker.run();
});

afterAll(async () => {
  await worker.stop();
  await ended;
  vi.unstubAllEnvs();
  await database.drop();
});

it("there are commands for each symptom", () => {
  const symptoms = page.match(/^## .+/gm) ?? [];
  expect(new Set(COMMANDS.map(([title]) => title)).size).toBeGreaterThanOrEqual(symptoms.length - 1);
  for (const [, line] of COMMANDS) expect(line).toMatch(/^howdah /);
});

it.each(COMMANDS)("%s: %s", async (_, line) => {
  // What changes many jobs asks a person; this one looks at the count and says no.
  const person = { ask: () => Promise.resolve("no") };
  const words = line.startsWith("howdah watch") ? [...wordsOf(line), "--once"] : wordsOf(line);
  const { code, error } = await runCli([...words.slice(1), "--database-url", database.connectionString], person);
  // An operation of that number has not been begun here.
  if (line.startsWith("howdah operations")) expect(error).toMatch(/^$|HOWDAH_OPERATION_UNKNOWN/);
  else expect({ code, error: /^howdah: /m.test(error) ? error : "" }).toEqual({ code: 0, error: "" });
});
