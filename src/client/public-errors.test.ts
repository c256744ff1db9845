import { describe, expect, it } from "vitest";
import { isHowdahError } from "../errors.ts";
import { defineTask } from "../job/task.ts";
import type { Driver } from "../postgres/driver.ts";
import { createSchema } from "../postgres/schema.ts";
import { silentLogger } from "../runtime/logger.ts";
import { createWorker } from "../worker/create-worker.ts";
import type { Client, TransactionClient } from "./client.ts";
import { clientOver, createClient } from "./create-client.ts";
import { migrate } from "./migrate-schema.ts";
import type { Schedules } from "./schedules.ts";

/** One state of every class that PostgreSQL has, those that are known to mean something here, and ours. */
const STATES = (
  "01000 02000 03000 08000 08001 08006 08P01 09000 0A000 0B000 0F000 0L000 0P000 0Z000 20000 21000 22003 22P05 2200H 23505 " +
  "24000 25006 25P02 26000 27000 28P01 2B000 2D000 2F000 34000 38000 39000 3B000 3D000 3F000 40001 40P01 42501 42710 42804 " +
  "42883 42939 42P01 42P05 42P06 44000 53300 54000 55P03 57014 57P01 57P03 58030 72000 F0000 GWBKM HV000 HWMRG P0001 XX000 TT001"
).split(" ");

const ERRORS: readonly (readonly [string, unknown])[] = [
  ...STATES.map((code) => [code, Object.assign(new Error("refused"), { code, severity: "ERROR" })] as const),
  ["a lost connection", Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", errno: -104 })],
  ["a refused connection", Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", errno: -111 })],
  ["a slip of the driver", new TypeError("client.release is not a function")],
  ["a text", "broken"],
  ["nothing", undefined],
  ["null", null],
  ["what cannot be shown", Object.create(null)],
];

function failing(thrown: unknown): Driver {
  const fail = () => Promise.reject(thrown);
  return { query: fail, transaction: fail, listen: fail, close: fail };
}

type Calls<Methods> = {
  readonly [Name in keyof Methods as Methods[Name] extends (...given: never[]) => Promise<unknown> ? Name : never]: (
    methods: Methods,
  ) => Promise<unknown>;
};

/** A call of every method that asks the database, by the compiler's word. */
const INSIDE: Calls<Omit<TransactionClient, "schedules">> = {
  addJob: (client) => client.addJob("task"),
  addJobs: (client) => client.addJobs([{ identifier: "task" }, { identifier: "other" }]),
  addBatchJob: (client) => client.addBatchJob("task", [1]),
  removeJob: (client) => client.removeJob("key"),
  completeJobs: (client) => client.completeJobs(["1"]),
  removeJobs: (client) => client.removeJobs(["1"]),
  retryJobs: (client) => client.retryJobs(["1"]),
  permanentlyFailJobs: (client) => client.permanentlyFailJobs(["1"]),
  rescheduleJobs: (client) => client.rescheduleJobs(["1"], { priority: 1 }),
  forceUnlockWorkers: (client) => client.forceUnlockWorkers(["w"]),
  cancelJobs: (client) => client.cancelJobs(["1"]),
  pauseQueue: (client) => client.pauseQueue("q"),
  resumeQueue: (client) => client.resumeQueue("q"),
  pauseTask: (client) => client.pauseTask("t"),
  resumeTask: (client) => client.resumeTask("t"),
  listPauses: (client) => client.listPauses(),
  getJob: (client) => client.getJob("1"),
  listJobLogs: (client) => client.listJobLogs("1"),
  history: (client) => client.history(),
  listAttempts: (client) => client.listAttempts("1"),
  explainJob: (client) => client.explainJob("1"),
  listJobs: (client) => client.listJobs(),
  stats: (client) => client.stats(),
  listErrors: (client) => client.listErrors(),
  listQueues: (client) => client.listQueues(),
};

/** All but `diagnose`, for which what the database refuses is a finding. */
const CLIENT: Calls<Omit<Client, keyof TransactionClient | "inTransaction" | "diagnose">> = {
  eraseJobs: (client) => client.eraseJobs({ key: "k" }),
  backlog: (client) => client.backlog(),
  // It waits while the database is away.
  result: (client) => client.result("1", { timeout: "20ms" }),
  listSamples: (client) => client.listSamples(),
  listTaskSamples: (client) => client.listTaskSamples(),
  listActiveWorkers: (client) => client.listActiveWorkers(),
  listIdleWorkers: (client) => client.listIdleWorkers(),
  sweepStaleWorkers: (client) => client.sweepStaleWorkers(),
  cleanup: (client) => client.cleanup(["unusedQueues"]),
  setQueueRules: (client) => client.setQueueRules("q", { concurrency: 2 }),
  setQueuePool: (client) => client.setQueuePool("p", { concurrency: 2 }),
  listQueueRules: (client) => client.listQueueRules(),
  migrate: (client) => client.migrate(),
  close: () => Promise.resolve(),
};

const SCHEDULES: Calls<Schedules> = {
  upsert: (schedules) => schedules.upsert({ id: "s", task: "t", schedule: "0 0 * * *" }),
  pause: (schedules) => schedules.pause("s"),
  resume: (schedules) => schedules.resume("s"),
  remove: (schedules) => schedules.remove("s"),
  list: (schedules) => schedules.list(),
  trigger: (schedules) => schedules.trigger("s"),
  preview: (schedules) => schedules.preview("s"),
};

type Named = readonly (readonly [string, () => Promise<unknown>])[];

function bound<Methods>(prefix: string, calls: Calls<Methods>, methods: Methods): Named {
  const all = Object.entries(calls) as [string, (methods: Methods) => Promise<unknown>][];
  return all.map(([name, call]) => [prefix + name, () => call(methods)] as const);
}

/** What is wrong with the errors of these calls, one line each. */
async function faultsOf(calls: Named, cause: unknown): Promise<string[]> {
  const faults: string[] = [];
  for (const [name, call] of calls) {
    const fault = await call().then(
      () => "resolved",
      (error: unknown) => faultOf(error, cause),
    );
    if (fault !== undefined) faults.push(`${name}: ${fault}`);
  }
  return faults;
}

function faultOf(found: unknown, cause: unknown): string | undefined {
  if (!isHowdahError(found)) return `threw ${String(found)}`;
  if (found.message === "") return "says nothing";
  const chain: unknown[] = [];
  for (let link: unknown = found; link instanceof Error; link = link.cause) chain.push(link.cause);
  return chain.includes(cause) ? undefined : "has lost its cause";
}

describe.each(ERRORS)("when the driver fails with %s", (_name, thrown) => {
  const schema = createSchema("howdah");
  const driver = failing(thrown);
  const client = clientOver({ driver, schema, logger: silentLogger });
  // What waits for a transaction that holds what it needs gives up after seconds, which is another test.
  const isLocked = ["40001", "40P01", "55P03"].includes(codeOf(thrown));

  it("every method of a client rejects with a HowdahError, with the failure as its cause", async () => {
    const inside = client.inTransaction(driver);
    const calls = [
      ...bound("", INSIDE, client),
      ...bound("inTransaction().", INSIDE, inside),
      ...bound("", CLIENT, client).filter(([name]) => name !== "close" && !(isLocked && PATIENT.has(name))),
      ...bound("schedules.", SCHEDULES, client.schedules),
      ...bound("inTransaction().schedules.", SCHEDULES, inside.schedules),
    ];
    expect(await faultsOf(calls, thrown)).toEqual([]);
  });

  it("createClient, createWorker, migrate and close reject with one", async () => {
    const task = defineTask({ identifier: "t", run() {} });
    const rest = { driver, connectTimeout: 1, logger: silentLogger };
    const closing = clientOver({ driver, schema, logger: silentLogger, ownsDriver: true });
    const calls: Named = [
      ["createClient", () => createClient(rest)],
      ["createClient without migrating", () => createClient({ ...rest, migrate: false })],
      ["createWorker", () => createWorker({ ...rest, tasks: [task] })],
      ["migrate", () => migrate(rest)],
      ["close", () => closing.close()],
    ];
    expect(await faultsOf(calls, thrown)).toEqual([]);
  });
});

const PATIENT = new Set(["cleanup", "eraseJobs", "migrate"]);

function codeOf(thrown: unknown): string {
  return String((thrown as { code?: unknown } | null | undefined)?.code);
}
