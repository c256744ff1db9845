import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { afterEach, expect, it, vi } from "vitest";
import { createWorker, defineTasks, silentLogger } from "../../src/index.ts";
import { readProjectFile } from "../docs/project-tree.ts";
import { snippetsOf } from "../docs/snippets.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

/** Installed beside these tests alone, so that no types of theirs are found. */
const [PG_BOSS, BULLMQ]: readonly [string, string] = ["pg-boss", "bullmq"];

/** What a guide says in this language. */
const blocksOf = (guide: string, language: string): string[] =>
  snippetsOf(readProjectFile(`docs/guides/${guide}.md`), language).map(({ lines }) => lines.join("\n"));

const JOBS = `
  select identifier as task, payload::text, round(extract(epoch from jobs.run_at - now()) / 60)::integer as minutes, priority
  from howdah._private_jobs jobs join howdah._private_tasks tasks on tasks.id = task_id order by payload::text`;

/** Runs what is due and returns the payloads in their order. */
async function runDue({ connectionString }: TestDatabase): Promise<unknown[]> {
  const ran: unknown[] = [];
  await using worker = await createWorker({
    connectionString,
    concurrency: 1,
    logger: silentLogger,
    tasks: defineTasks({ send_email: (payload) => void ran.push(payload) }),
    shutdown: { osSignals: false },
  });
  await worker.runOnce();
  return ran;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

// pg-boss needs Node.js 22.
it.runIf(Number.parseInt(process.versions.node, 10) >= 22)("the guide moves what waits in pg-boss", async () => {
  await using database = await createDatabase();
  const { PgBoss } = (await import(PG_BOSS)) as { PgBoss: new (url: string) => PgBoss };
  const boss = new PgBoss(database.connectionString);
  await boss.start();
  await boss.createQueue("send_email");
  await boss.send("send_email", { n: 1 });
  await boss.send("send_email", { n: 2 }, { priority: 7 });
  await boss.send("send_email", { n: 3 }, { startAfter: 600 });
  const [move = ""] = blocksOf("from-pg-boss", "sql");

  expect(await database.sql(move)).toEqual([{ count: "3" }]);

  expect(await database.sql(JOBS)).toEqual([
    { task: "send_email", payload: '{"n": 1}', minutes: 0, priority: 0 },
    { task: "send_email", payload: '{"n": 2}', minutes: 0, priority: -7 },
    { task: "send_email", payload: '{"n": 3}', minutes: 10, priority: 0 },
  ]);
  expect(await boss.fetch("send_email")).toEqual([]);
  await boss.stop({ graceful: false });
  expect(await runDue(database)).toEqual([{ n: 2 }, { n: 1 }]);
});

it("the guide moves what waits in BullMQ, also when its script is run again", async () => {
  await using database = await createDatabase();
  const { connectionString } = database;
  const { createPostgresBackend, Queue } = (await import(BULLMQ)) as BullMq;
  const connection = { connectionString, migrate: true, max: 2 };
  const queue = new Queue("mail", { connection }, createPostgresBackend);
  await queue.waitUntilReady();
  await queue.add("send_email", { n: 1 });
  await queue.add("send_email", { n: 2 }, { priority: 7 });
  await queue.add("send_email", { n: 3 }, { delay: 600_000 });
  await queue.pause();
  const moveWaiting = await loadScript();
  vi.stubEnv("DATABASE_URL", connectionString);

  await moveWaiting(interrupted(queue));
  expect(await database.sql(JOBS)).toHaveLength(2);
  await moveWaiting(queue);

  expect(await database.sql(JOBS)).toEqual([
    { task: "send_email", payload: '{"n":1}', minutes: 0, priority: 0 },
    { task: "send_email", payload: '{"n":2}', minutes: 0, priority: 0 },
    { task: "send_email", payload: '{"n":3}', minutes: 10, priority: 0 },
  ]);
  expect(await queue.getJobs(STATES)).toEqual([]);
  await queue.close();
  expect(await runDue(database)).toEqual([{ n: 1 }, { n: 2 }]);
});

const STATES = ["waiting", "delayed", "prioritized"];

/** The function of the guide, as a program of the packed package would have it. */
async function loadScript(): Promise<(queue: Pick<BullMqQueue, "getJobs">) => Promise<void>> {
  const script = blocksOf("from-bullmq", "ts").find((block) => block.includes("function moveWaiting")) ?? "";
  const { outputText } = ts.transpileModule(script, {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
  });
  const library = new URL("../../dist/index.js", import.meta.url).href;
  const folder = await mkdtemp(join(tmpdir(), "howdah-moving-"));
  try {
    const file = join(folder, "move.mjs");
    await writeFile(file, `${outputText.replace('"howdah"', JSON.stringify(library))}\nexport { moveWaiting };\n`);
    const { moveWaiting } = (await import(pathToFileURL(file).href)) as { moveWaiting: never };
    return moveWaiting;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The same queue for a script that ends between the add of the second job and its removal. */
function interrupted(queue: BullMqQueue): Pick<BullMqQueue, "getJobs"> {
  return {
    async getJobs(states) {
      const jobs = await queue.getJobs(states);
      const [first, second] = jobs;
      if (!first || !second) throw new Error("There are fewer jobs than were added.");
      return [first, Object.assign(Object.create(second) as BullMqJob, { remove: () => Promise.resolve() })];
    },
  };
}

/** What these tests use of pg-boss. */
interface PgBoss {
  start(): Promise<unknown>;
  createQueue(name: string): Promise<void>;
  send(name: string, data: object, options?: object): Promise<string | null>;
  fetch(name: string): Promise<readonly unknown[]>;
  stop(options: { readonly graceful: boolean }): Promise<void>;
}

/** What these tests use of BullMQ. */
interface BullMq {
  readonly createPostgresBackend: unknown;
  readonly Queue: new (name: string, options: object, backend: unknown) => BullMqQueue;
}

interface BullMqQueue {
  waitUntilReady(): Promise<unknown>;
  add(name: string, data: object, options?: object): Promise<unknown>;
  pause(): Promise<void>;
  getJobs(states: readonly string[]): Promise<BullMqJob[]>;
  close(): Promise<void>;
}

interface BullMqJob {
  readonly id: string;
  readonly data: unknown;
  remove(): Promise<void>;
}
