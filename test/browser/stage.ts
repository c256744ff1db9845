import { type Client, createClient } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { startNode, type TestProcess } from "../harness/process.ts";
import { until } from "../harness/until.ts";

/** Who may come to the page, with what they may do. Their password is their name, twice. */
export const PEOPLE = [
  { name: "ada", password: "adaada", role: "admin" },
  { name: "grace", password: "gracegrace", role: "operate" },
  { name: "bob", password: "bobbob", role: "read" },
  { name: "eve", password: "eveeve", role: "operate", tasks: ["send_email"] },
] as const;

/** Someone of {@link PEOPLE}, as {@link VisitOptions} takes them. */
export function person(name: (typeof PEOPLE)[number]["name"]) {
  return { username: name, password: name + name };
}

/** A process that serves the page. */
export interface ServedPage {
  /** Ends with a slash. */
  readonly url: string;
  readonly process: TestProcess;
}

/** Serves the page for a database, with options of `createAdmin`; `withTasks` says that it knows resize_image. */
export async function servePage(
  database: Pick<TestDatabase, "connectionString">,
  options: Readonly<Record<string, unknown>> = {},
): Promise<ServedPage> {
  const process = await startNode(new URL("fixtures/admin.mjs", import.meta.url), {
    args: [JSON.stringify({ people: PEOPLE, environment: { name: "staging" }, ...options })],
    env: { DATABASE_URL: database.connectionString, HOWDAH_LOG: "warn" },
  });
  const url = (await process.line("at ")).replace("at ", "");
  return { url: `${url.replace(/\/$/, "")}/`, process };
}

/** Starts a worker for send_email, import_csv and charge_card. */
async function startWorker(database: TestDatabase): Promise<TestProcess> {
  return startNode(new URL("fixtures/worker.mjs", import.meta.url), {
    env: { DATABASE_URL: database.connectionString, HOWDAH_LOG: "warn" },
  });
}

/** A queue in which every view has something to show. */
export interface Stage {
  readonly database: TestDatabase;
  readonly client: Client;
  readonly worker: TestProcess;
  /** The ids of some jobs. */
  readonly jobs: {
    /** Runs in the queue tenant-7, until the worker is told a line. */
    readonly running: string;
    /** Waits behind it. */
    readonly behind: string;
    /** Failed for good. */
    readonly failed: string;
    /** Completed, and kept. */
    readonly finished: string;
    /** Its task is run by no worker. */
    readonly unknown: string;
    /** Is due next week. */
    readonly later: string;
  };
}

/** Makes a queue with jobs in every state, a held and a paused queue, schedules, and a worker. */
export async function setStage(): Promise<Stage> {
  const database = await createDatabase();
  const client = await createClient({ connectionString: database.connectionString });
  const worker = await startWorker(database);
  const add = async (task: string, payload: unknown, spec = {}) => (await client.addJob(task, payload, spec)).id;

  const running = await add("import_csv", { file: "orders.csv", rows: 12_000 }, { queueName: "tenant-7" });
  await worker.line("importing");
  const behind = await add("send_email", { to: "ada@example.com", card: { number: "4111111111111111" } }, BEHIND);
  for (let n = 0; n < 5; n++) await add("send_email", { to: `person-${n}@example.com` }, { queueName: "tenant-7" });
  const failed = await add("charge_card", { order: 4711, amount: 90071992547409931n.toString() }, { maxAttempts: 1 });
  for (let n = 0; n < 24; n++) await add("charge_card", { order: n }, { maxAttempts: 1 });
  const finished = await add("welcome", { to: "ada@example.com" }, { jobKey: "welcome:1" });
  await until(async () => (await client.getJob(finished))?.state === "completed", { message: "a finished job" });
  const unknown = await add("resize_image", { image: "elephant.png", width: 640 });
  for (let n = 0; n < 3; n++) await add("resize_image", { image: `${n}.png` });
  const later = await add("send_email", { to: "later@example.com" }, { runIn: "7d", jobKey: "reminder:42" });
  await client.pauseQueue("newsletter");
  await add("send_email", { to: "reader@example.com" }, { queueName: "newsletter" });
  await client.schedules.upsert({ id: "nightly-report", task: "send_email", schedule: "30 2 * * *" });
  await client.schedules.upsert({
    id: "cleanup",
    task: "send_email",
    schedule: "0 * * * *",
    timeZone: "Europe/Berlin",
  });
  await until(async () => (await client.stats()).failed.value === 25, { message: "25 failed jobs" });
  return { database, client, worker, jobs: { running, behind, failed, finished, unknown, later } };
}

/** Ends what {@link setStage} has made. */
export async function clearStage({ client, worker, database }: Stage): Promise<void> {
  worker.kill();
  await client.close();
  await database.drop();
}

const BEHIND = { queueName: "tenant-7", jobKey: "mail:77" };
