import { randomBytes } from "node:crypto";
import { createClient } from "../client/create-client.ts";
import type { Client } from "../client/client.ts";
import { HowdahError } from "../errors.ts";
import { CONNECTION_STRING } from "../postgres/connection-string.ts";
import type { Driver } from "../postgres/driver.ts";
import { pgDriver } from "../postgres/drivers/pg.ts";
import { quoteIdentifier } from "../postgres/schema.ts";
import { silentLogger } from "../runtime/logger.ts";
import { oneOf, string } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { QueueForTests, type TestQueue } from "./create-test-queue.ts";
import { borrowTestServer, type BorrowedServer } from "./test-server.ts";

/**
 * Makes a database for one test file, with a queue in it that is up to date.
 * `close` removes it. The server is the one that `startTestServer` has started,
 * that of `DATABASE_URL`, or an embedded one of this process.
 *
 * Rejects as `startPostgres` and `createClient` do, and with
 * `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID` for the options.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { connectionString, isolation, schema } = readOptions("createTestDatabase", options, {
    connectionString: CONNECTION_STRING,
    isolation: oneOf(["database", "schema"], { default: "database" }),
    schema: string(),
  });
  const server = await borrowTestServer(connectionString);
  try {
    const name = `howdah_test_${randomBytes(6).toString("hex")}`;
    return await (isolation === "database"
      ? ownDatabase(server, name, schema ?? "howdah")
      : ownSchema(server, schema ?? name));
  } catch (error) {
    await server.giveBack();
    throw error;
  }
}

/** What {@link createTestDatabase} can be told. Everything is optional. */
export interface TestDatabaseOptions {
  /** A server, and a database on it. Default: see {@link createTestDatabase}. */
  readonly connectionString?: string | undefined;
  /**
   * `database`: a database of its own, for a role that may create one. `schema`:
   * only a schema of its own, in the database of `connectionString`. Default
   * `database`.
   */
  readonly isolation?: "database" | "schema" | undefined;
  /** The schema of the queue. Default: "howdah", or a name of its own when only the schema is. */
  readonly schema?: string | undefined;
}

/** A database for tests. With `await using` it is closed at the end of the block. */
export interface TestDatabase extends TestQueue {
  /** Where it is, for what else the application connects with. */
  readonly connectionString: string;
  /** Stops its workers, ends all connections to it, and removes it. */
  close(): Promise<void>;
}

class DatabaseForTests extends QueueForTests implements TestDatabase {
  readonly connectionString: string;
  readonly #remove: () => Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(queue: OpenQueue, connectionString: string, remove: () => Promise<void>) {
    super(queue.client, queue.driver, queue.schema);
    this.connectionString = connectionString;
    this.#remove = remove;
  }

  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await super.close();
      await this.driver.close();
    } finally {
      await this.#remove();
    }
  }
}

interface OpenQueue {
  readonly client: Client;
  readonly driver: Driver;
  readonly schema: string;
}

async function ownDatabase(server: BorrowedServer, name: string, schema: string): Promise<TestDatabase> {
  const drop = () =>
    administer(server.connectionString, `drop database if exists ${quoteIdentifier(name)} with (force)`);
  await administer(
    server.connectionString,
    `create database ${quoteIdentifier(name)} template template0 encoding 'UTF8'`,
  );
  const connectionString = urlOfDatabase(server.connectionString, name);
  try {
    return new DatabaseForTests(await openQueue(connectionString, schema), connectionString, async () => {
      await drop();
      await server.giveBack();
    });
  } catch (error) {
    await drop();
    throw error;
  }
}

async function ownSchema(server: BorrowedServer, schema: string): Promise<TestDatabase> {
  const { connectionString } = server;
  const queue = await openQueue(connectionString, schema);
  return new DatabaseForTests(queue, connectionString, async () => {
    await administer(connectionString, `drop schema if exists ${quoteIdentifier(schema)} cascade`);
    await server.giveBack();
  });
}

async function openQueue(connectionString: string, schema: string): Promise<OpenQueue> {
  const driver = pgDriver({ connectionString, logger: silentLogger });
  try {
    return { client: await createClient({ driver, schema, logger: silentLogger }), driver, schema };
  } catch (error) {
    await driver.close();
    throw error;
  }
}

/** Runs one statement outside of any transaction. */
async function administer(connectionString: string, text: string): Promise<void> {
  const driver = pgDriver({ connectionString, maxConnections: 1, handlerConnections: 0 });
  try {
    await driver.query({ text });
  } finally {
    await driver.close();
  }
}

/** The same server and role, another database. */
function urlOfDatabase(serverUrl: string, name: string): string {
  if (!URL.canParse(serverUrl))
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "A test database needs the address of one server, such as postgresql://user:password@host:5432/database.",
    );
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
