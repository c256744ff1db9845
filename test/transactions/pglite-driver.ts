import type { PGlite, PGliteInterface, Transaction } from "@electric-sql/pglite";
import type { Driver, Executor, Query, QueryResult } from "../../src/postgres/driver.ts";

/** A client needs a driver for its database: this one does what its tests need over PGlite. */
export function pgliteDriver(db: PGlite): Driver {
  return {
    ...executorOver(db),
    capabilities: { listen: false, connections: 1 },
    transaction: (work) => db.transaction((transaction) => work(executorOver(transaction))),
    listen: () => Promise.reject(new Error("It does not listen.")),
    close: async () => undefined,
  };
}

function executorOver(on: PGliteInterface | Transaction): Executor {
  return {
    async query({ text, values = [] }: Query): Promise<QueryResult> {
      const asText = { rowMode: "array", parsers: IDENTITY, serializers: IDENTITY } as const;
      const { rows, affectedRows } = await on.query<(string | null)[]>(text, [...values], asText);
      return { rows, count: rows.length || (affectedRows ?? 0) };
    },
  };
}

/** Reads and writes values of all types as the text that they are. PGlite copies it, so a proxy would have none. */
const IDENTITY = Object.fromEntries(Array.from({ length: 6_000 }, (_, oid) => [oid, (value: string) => value]));
