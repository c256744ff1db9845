import { afterAll, beforeAll, describe } from "vitest";
import type { Driver } from "../../../src/postgres/driver.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { testCapabilities } from "./capabilities.ts";
import { testErrors } from "./errors.ts";
import { testLifetime } from "./lifetime.ts";
import { testListen } from "./listen.ts";
import { testQuery } from "./query.ts";
import { testTransaction } from "./transaction.ts";

/** Makes a driver of the kind under test, with its defaults. */
export type CreateDriver = (connectionString: string) => Driver;

/** Makes a database without the schema of the queue. */
export type CreateContractDatabase = () => Promise<ContractDatabase>;

/** What is needed of it. */
export type ContractDatabase = Pick<TestDatabase, "connectionString" | "sql" | "drop">;

/** Where drivers lead. */
export interface DriverPlace {
  readonly createDatabase: CreateContractDatabase;
  /** True where the database runs inside of the process, as the driver has to say: then nothing is lost or given up. */
  readonly inProcess: boolean;
}

/** What a topic of the contract works with. */
export interface DriverContext extends Pick<DriverPlace, "inProcess"> {
  /** A database without the schema of the queue. */
  readonly database: ContractDatabase;
  /** A driver for all tests of the topic. */
  readonly driver: Driver;
  /** A driver for one test, closed at the end of the file. */
  createDriver(connectionString?: string): Driver;
}

/** What every driver promises, whatever client library is behind it. */
export function describeDriver(name: string, create: CreateDriver, place: DriverPlace = SERVER): void {
  describe(`driver ${name}`, () => {
    let database: ContractDatabase;
    let driver: Driver;
    const drivers: Driver[] = [];
    const context: DriverContext = {
      inProcess: place.inProcess,
      get database() {
        return database;
      },
      get driver() {
        return driver;
      },
      createDriver(connectionString = database.connectionString) {
        const made = create(connectionString);
        drivers.push(made);
        return made;
      },
    };

    beforeAll(async () => {
      database = await place.createDatabase();
      driver = context.createDriver();
    });
    afterAll(async () => {
      await Promise.all(drivers.map((made) => made.close()));
      await database.drop();
    });

    describe("capabilities", () => testCapabilities(context));
    describe("query", () => testQuery(context));
    describe("transaction", () => testTransaction(context));
    describe("listen", () => testListen(context));
    describe("errors", () => testErrors(context));
    describe("lifetime", () => testLifetime(context));
  });
}

/** The server of the tests. */
const SERVER: DriverPlace = { createDatabase: () => createDatabase({ migrate: false }), inProcess: false };
