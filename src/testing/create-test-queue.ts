import type { Client } from "../client/client.ts";
import { createClient } from "../client/create-client.ts";
import type { Driver } from "../postgres/driver.ts";
import { silentLogger } from "../runtime/logger.ts";
import { createWorker } from "../worker/create-worker.ts";
import type { WorkerOptions } from "../worker/options.ts";
import type { Worker } from "../worker/worker.ts";
import { allJobs } from "./all-jobs.ts";

/**
 * A queue for tests over a driver of the application, PGlite for instance: its
 * schema is brought up to date. Closing it leaves the driver, and what is in the
 * database, as they are. Rejects as `createClient` does.
 */
export async function createTestQueue(options: TestQueueOptions): Promise<TestQueue> {
  const { driver, schema = "howdah" } = options;
  const client = await createClient({ driver, schema, logger: silentLogger });
  return new QueueForTests(client, driver, schema);
}

/** What a {@link TestQueue} is made of. */
export interface TestQueueOptions {
  readonly driver: Driver;
  /** Default "howdah". */
  readonly schema?: string | undefined;
}

/** A queue for tests. With `await using` it is closed at the end of the block. */
export interface TestQueue extends AsyncDisposable {
  readonly driver: Driver;
  /** The name of its schema. */
  readonly schema: string;
  /** Adds jobs, and looks at them. */
  readonly client: Client;
  /**
   * Creates a worker on this queue: with options as for `createWorker`, except
   * that it logs nothing, leaves the signals of the process alone and runs one
   * job at a time unless told otherwise. It is stopped when the queue is closed.
   */
  readonly createWorker: typeof createWorker;
  /** Removes all jobs but those that run, for the next test. Schedules and pauses stay. */
  clear(): Promise<void>;
  /** Stops its workers and closes what it opened. */
  close(): Promise<void>;
}

/** A queue over a driver that is connected to a migrated schema. */
export class QueueForTests implements TestQueue {
  readonly client: Client;
  readonly driver: Driver;
  readonly schema: string;
  readonly #workers: Worker[] = [];

  constructor(client: Client, driver: Driver, schema: string) {
    this.client = client;
    this.driver = driver;
    this.schema = schema;
  }

  // A function and not a method, because only then the compiler finds it the same as `createWorker`.
  readonly createWorker: typeof createWorker = async (options) => {
    const { connectionString, pool, shutdown } = options;
    const way = connectionString === undefined && pool === undefined ? { driver: this.driver } : {};
    const defaults = { ...way, schema: this.schema, migrate: false, logger: silentLogger, concurrency: 1 };
    // What is undefined is left out: it must not lead to another queue than this one.
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    const all = { ...defaults, ...given, shutdown: { osSignals: false, ...shutdown } };
    // Whether there has to be a state is known only where the tasks are named.
    const worker = await createWorker(all as unknown as WorkerOptions);
    this.#workers.push(worker);
    return worker;
  };

  async clear(): Promise<void> {
    const jobs = await allJobs(this.client, {});
    const ids = jobs.filter(({ state }) => state !== "running").map(({ id }) => id);
    await this.client.completeJobs(ids);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
