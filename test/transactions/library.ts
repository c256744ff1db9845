import type { ApplicationTransaction } from "../../src/postgres/caller-transaction.ts";

/** A client library, as the tests of transactions use each of them. */
export interface Library {
  readonly name: string;
  /** Connects to a database, with at most two connections. */
  open(connectionString: string): Promise<OpenLibrary>;
  /** What becomes of a call that is not awaited when the transaction is committed in the same turn. */
  readonly unawaited: "stored" | "refused";
  /** What it gives for one transaction is the same object for the next one on that connection. */
  readonly isReusedUnseen?: boolean;
  /** It rejects the whole transaction when one of its statements has failed, although the error was caught. */
  readonly rejectsCaughtErrors?: boolean;
  /** When a connection is lost inside of a transaction, it ends the process: see `lost-connection.test.ts`. */
  readonly diesOfLostConnection?: boolean;
}

/** One connected library. */
export interface OpenLibrary {
  /** What is no transaction of this library, and may be mistaken for one. */
  readonly noTransactions: readonly unknown[];
  /** Runs `work` in a transaction: commits when it resolves, rolls back when it rejects. */
  transaction<T>(work: (transaction: LibraryHandle) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A transaction of a library that has begun. */
export interface LibraryHandle {
  /** What the library gives to an application. */
  readonly given: ApplicationTransaction;
  /** Inserts a row of the application. */
  insert(id: number): Promise<unknown>;
  /** Runs `work` in a savepoint; rolls back to it when it rejects. */
  savepoint<T>(work: (transaction: LibraryHandle) => Promise<T>): Promise<T>;
  /** The process of the server that this connection has. */
  pid(): Promise<number>;
}
