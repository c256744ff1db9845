import { AsyncResource } from "node:async_hooks";
import pg from "pg";
import { HowdahError } from "../../src/errors.ts";
import type { CallerTransaction, Driver, Executor, Query, QueryResult } from "../../src/postgres/driver.ts";

/** What {@link Wire} answers. */
export interface WireAnswer {
  readonly table: (string | null)[][];
  readonly touched: number;
}

/**
 * A library of a stranger: one connection, whose statements and transactions
 * take turns, and transactions that are no clients of `pg`.
 */
export class Wire {
  readonly client: pg.Client;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connectionString: string) {
    this.client = new pg.Client({ connectionString });
  }

  run(sql: string, parameters: readonly (string | null)[] = []): Promise<WireAnswer> {
    return this.inTurn(() => send(this.client, sql, parameters));
  }

  /** Resolves when it has its turn, which ends with the transaction. */
  begin(): Promise<WireTransaction> {
    return new Promise((resolve, reject) => {
      const turn = this.inTurn(async () => {
        await send(this.client, "begin isolation level read committed", []);
        const transaction = new WireTransaction(this.client);
        resolve(transaction);
        await transaction.ended;
      });
      turn.catch(reject);
    });
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(AsyncResource.bind(work));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when all turns are over. */
  async end(): Promise<void> {
    await this.#last;
    await this.client.end();
  }
}

/** A transaction of {@link Wire}. */
export class WireTransaction {
  readonly ended: Promise<void>;
  readonly #client: pg.Client;
  #end = (): void => undefined;
  isOver = false;

  constructor(client: pg.Client) {
    this.#client = client;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  run(sql: string, parameters: readonly (string | null)[] = []): Promise<WireAnswer> {
    return send(this.#client, sql, parameters);
  }

  /** Resolves to false when PostgreSQL rolled back instead. */
  async finish(how: "commit" | "rollback"): Promise<boolean> {
    this.isOver = true;
    try {
      const { command } = await this.#client.query(how);
      return command === how.toUpperCase();
    } finally {
      this.#end();
    }
  }
}

/** A driver over {@link Wire}, and what was asked of it. */
export interface SingleConnection extends Driver {
  readonly wire: Wire;
  /** How often it was asked to listen. */
  readonly listens: number;
}

/** Connects a driver that has one connection for everything; it listens on that one, too, if it listens at all. */
export async function createSingleConnection(
  connectionString: string,
  { listen }: { readonly listen: boolean },
): Promise<SingleConnection> {
  const wire = new Wire(connectionString);
  await wire.client.connect();
  let listens = 0;
  let closed: Promise<void> | undefined;
  const query = async (statement: Query): Promise<QueryResult> => {
    if (closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The driver was closed.");
    return toResult(await wire.run(statement.text, statement.values));
  };
  return {
    wire,
    capabilities: { listen, connections: 1 },
    get listens() {
      return listens;
    },
    query,
    async transaction(work) {
      if (closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The driver was closed.");
      const transaction = await wire.begin();
      const inside = wireTransaction(transaction);
      let result: Awaited<ReturnType<typeof work>>;
      try {
        result = await work(inside);
      } catch (error) {
        await transaction.finish("rollback");
        throw error;
      }
      if (!(await transaction.finish("commit"))) throw inside.failure;
      return result;
    },
    within: (given) => {
      if (given instanceof Wire) {
        throw new HowdahError("HOWDAH_OPTION_INVALID", "A wire is no transaction: begin one.");
      }
      return given instanceof WireTransaction ? wireTransaction(given) : undefined;
    },
    async listen(channels, handlers) {
      listens += 1;
      if (!listen) throw new HowdahError("HOWDAH_OPTION_INVALID", "This driver cannot listen.");
      let isOver = false;
      wire.client.on("notification", ({ channel, payload = "" }) => {
        if (!isOver) handlers.notified(channel, payload);
      });
      for (const channel of channels) await query({ text: `listen ${pg.escapeIdentifier(channel)}` });
      handlers.up({ query });
      return {
        async close() {
          isOver = true;
        },
      };
    },
    close: () => (closed ??= wire.end()),
  };
}

/** What a transaction of {@link Wire} is for Howdah, with the error of the last statement that failed in it. */
export function wireTransaction(transaction: WireTransaction): CallerTransaction & { readonly failure: unknown } {
  let failure: unknown;
  return {
    get isOpen() {
      return !transaction.isOver;
    },
    get failure() {
      return failure;
    },
    async query({ text, values }) {
      if (transaction.isOver) throw new HowdahError("HOWDAH_TRANSACTION_ENDED", "The transaction has ended.");
      try {
        return toResult(await transaction.run(text, values));
      } catch (error) {
        failure = error;
        throw error;
      }
    },
  };
}

/** The same over something that cannot tell whether its transaction goes on. */
export function tacitTransaction(transaction: WireTransaction): Executor {
  return { query: async ({ text, values }) => toResult(await transaction.run(text, values)) };
}

function toResult({ table, touched }: WireAnswer): QueryResult {
  return { rows: table, count: touched };
}

const AS_TEXT = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

async function send(client: pg.Client, text: string, values: readonly (string | null)[]): Promise<WireAnswer> {
  const statement = values.length > 0 ? { text, values: [...values] } : { text };
  const answers = await client.query<(string | null)[]>({ ...statement, rowMode: "array", types: AS_TEXT });
  const answer = Array.isArray(answers) ? (answers.at(-1) as typeof answers) : answers;
  return { table: answer.rows, touched: answer.rowCount ?? answer.rows.length };
}
