import { Console } from "node:console";
import { Writable } from "node:stream";
import { runInThisContext } from "node:vm";
import pg from "pg";
import ts from "typescript";
import * as howdah from "../../src/index.ts";
import { createDatabase } from "./database.ts";
import { until } from "./until.ts";
import { subpaths } from "../docs/compile.ts";
import { moduleOf } from "../docs/snippets.ts";

/** The tables that pages speak of as their reader's. */
const TABLES = `
  create table accounts (name text primary key, balance integer not null);
  create table customers (id integer primary key);
  create table imports (file text, shop text);
  create table orders (id bigint generated always as identity primary key, customer text, charged boolean);
`;

/**
 * Runs the blocks of a page that have no word behind their fence, one after another on a database of their own, with
 * the names that a page may use undeclared: `client`, `worker`, `pool`. Then it runs the jobs that they added, also
 * those that are due later, with the tasks that they defined. Rejects with the place of the block that fails, or with
 * the job that does.
 *
 * A worker's `run()` ends when its jobs have run. `fetch` answers each request, and `console` is silent.
 */
export async function runPage(page: string, markdown: string): Promise<void> {
  await using database = await createDatabase();
  await database.sql(TABLES);
  using _environment = environment(database.connectionString);
  await using opened = closers();
  const failures: string[] = [];
  const tasks = new Map<string, howdah.AnyTask>();
  const lib = packageOf({ opened, failures, tasks });

  const pool = new lib.pg.Pool({ connectionString: database.connectionString });
  // The database is dropped while it may still have idle connections.
  pool.on("error", () => {});
  const names = {
    client: await lib.howdah.createClient({ pool }),
    worker: await lib.howdah.createWorker({ tasks: [howdah.defineTask({ identifier: "of_the_page", run() {} })] }),
    pool,
    fetch: async () => new Response("{}"),
    console: new Console(new Writable({ write: (_chunk, _encoding, written) => written() })),
  };
  let line = 0;
  const at = (now: number) => void (line = now);
  const module = moduleOf(markdown, {
    only: ({ words }) => words.length === 0,
    before: ({ fence }) => `__at(${fence + 1});`,
  });
  const given = { ...names, __at: at, exports: {}, require: await requireFor(module, lib) };
  const code = ts.transpile(module, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    esModuleInterop: true,
  });
  const run = runInThisContext(`(async (${Object.keys(given).join(", ")}) => {\n${code}\n})`, { filename: page });
  try {
    await run(...Object.values(given));
  } catch (error) {
    throw new Error(`${page}:${line}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  await runJobs(lib.howdah, [...tasks.values()]);
  if (failures.length > 0) throw new Error(failures.map((failure) => `${page}: ${failure}`).join("\n"));
}

/** Lets `DATABASE_URL` and what `pg` reads name the database until it is disposed of. */
function environment(connectionString: string): Disposable {
  const { hostname, port, username, password, pathname } = new URL(connectionString);
  const wanted: Record<string, string> = {
    DATABASE_URL: connectionString,
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
  };
  const before = Object.keys(wanted).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, wanted);
  return {
    [Symbol.dispose]() {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}

/** Closes in the end what was opened, the last first. */
interface Closers extends AsyncDisposable {
  defer(close: () => Promise<unknown>): void;
}

function closers(): Closers {
  const all: (() => Promise<unknown>)[] = [];
  return {
    defer: (close) => void all.push(close),
    async [Symbol.asyncDispose]() {
      for (const close of all.toReversed()) await close();
    },
  };
}

interface Watched {
  readonly opened: Closers;
  readonly failures: string[];
  readonly tasks: Map<string, howdah.AnyTask>;
}

/** The package and `pg` as a page gets them: what it opens is closed in the end, and what it defines is known. */
function packageOf({ opened, failures, tasks }: Watched) {
  class Pool extends pg.Pool {
    constructor(options?: pg.PoolConfig) {
      super(options);
      opened.defer(async () => void (this.ended || (await this.end())));
    }
  }
  async function createClient(options: howdah.ClientOptions = {}): Promise<howdah.Client> {
    const client = await howdah.createClient({ logger: howdah.silentLogger, ...options });
    opened.defer(() => client.close());
    return client;
  }
  async function createWorker(options: howdah.WorkerOptions): Promise<howdah.Worker> {
    const worker = await howdah.createWorker({ logger: howdah.silentLogger, ...options });
    opened.defer(() => worker.stop());
    worker.hooks.on("jobFail", ({ job, error }) => void failures.push(`${job.task} failed: ${messageOf(error)}`));
    const run = () => runUntilDone(worker, options.tasks);
    return new Proxy(worker, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        return key === "run" ? run : typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
  function known<T extends howdah.AnyTask>(task: T): T {
    tasks.set(task.identifier, task);
    return task;
  }
  const defineTask = ((task: never) => known(howdah.defineTask(task))) as typeof howdah.defineTask;
  const defineTasks = ((handlers: never) => howdah.defineTasks(handlers).map(known)) as typeof howdah.defineTasks;
  const defineBatchTask = ((task: never) => known(howdah.defineBatchTask(task))) as typeof howdah.defineBatchTask;
  return {
    howdah: { ...howdah, createClient, createWorker, defineTask, defineTasks, defineBatchTask },
    pg: { ...pg, Pool, Client: pg.Client },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs a worker until no job of its tasks waits or runs, or until the page stops it. */
async function runUntilDone(worker: howdah.Worker, tasks: readonly howdah.AnyTask[]): Promise<void> {
  let ended = false;
  const running = worker.run().finally(() => (ended = true));
  await Promise.race([running, until(async () => ended || (await isDone(worker.client, tasks)))]);
  await worker.stop();
  await running;
}

async function isDone(client: howdah.Client, tasks: readonly howdah.AnyTask[]): Promise<boolean> {
  for (const { identifier: task } of tasks) {
    for (const state of ["ready", "running"] as const) {
      if ((await client.listJobs({ task, state })).jobs.length > 0) return false;
    }
  }
  return true;
}

/** Runs the jobs that are left of these tasks, whenever they are due. */
async function runJobs(
  lib: Pick<ReturnType<typeof packageOf>["howdah"], "createWorker">,
  tasks: readonly howdah.AnyTask[],
): Promise<void> {
  if (tasks.length === 0) return;
  await using worker = await lib.createWorker({ tasks });
  const { jobs } = await worker.client.listJobs({ state: "scheduled", limit: 1000 });
  await worker.client.rescheduleJobs(
    jobs.map(({ id }) => id),
    { runAt: new Date(0) },
  );
  await worker.runOnce();
}

/** A `require` that knows what a module imports. */
async function requireFor(module: string, { howdah: main, pg: driver }: ReturnType<typeof packageOf>) {
  const sources = subpaths();
  const modules = new Map<string, object>([
    ["howdah", main],
    ["pg", { default: driver }],
  ]);
  for (const { fileName: name } of ts.preProcessFile(module).importedFiles) {
    if (!modules.has(name)) modules.set(name, await import(sources[name]?.[0] ?? name));
  }
  return (name: string) => ({ ...modules.get(name), __esModule: true });
}
