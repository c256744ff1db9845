import { HowdahError } from "../../../errors.ts";
import type { Cell, Executor, Query, QueryResult, Row } from "../../driver.ts";

/** The one session of a database of PGlite, which all share. Text in, text out. */
export class PGliteSession implements Executor {
  readonly #db: PGliteDatabase;
  #options: PGliteQueryOptions | undefined;
  #typeCount = 0;
  #prepared: Promise<unknown> | undefined;

  constructor(db: PGliteDatabase) {
    this.#db = db;
  }

  /** Sets, once, what our statements depend on. */
  prepare(): Promise<unknown> {
    this.#prepared ??= this.query({ text: SETTINGS }).catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
    return this.#prepared;
  }

  /** Runs a statement outside of any transaction, or on one. */
  async query({ name, text, values }: Query, on: PGliteExecutor = this.#db): Promise<QueryResult> {
    this.#checkOpen();
    const options = this.#asText();
    if (values === undefined && name === undefined) return toResult((await on.exec(text, options)).at(-1));
    return toResult(await on.query(text, [...(values ?? [])], options));
  }

  transaction<T>(work: (transaction: PGliteExecutor) => Promise<T>): Promise<T> {
    this.#checkOpen();
    return this.#db.transaction(work);
  }

  #checkOpen(): void {
    if (this.#db.closed)
      throw new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "The database of PGlite was closed by the application.");
  }

  /**
   * Whether a statement that has just ended has left a transaction open: it has a
   * word that begins one, and there is one.
   */
  isLeftOpenBy({ text }: Query): boolean {
    return /\b(begin|start)\b/i.test(text) && this.#db.isInTransaction?.() === true;
  }

  /** PGlite reads the types that it knows, and those of arrays, of which there may be more later. */
  #asText(): PGliteQueryOptions {
    const types = Object.keys(this.#db.parsers);
    if (this.#options === undefined || types.length !== this.#typeCount) {
      this.#typeCount = types.length;
      const parsers = Object.fromEntries(types.map((type) => [type, asItIs]));
      this.#options = { rowMode: "array", parsers, serializers: AS_THEY_ARE };
    }
    return this.#options;
  }
}

/** A database of PGlite, as far as it is needed here. */
export interface PGliteDatabase extends PGliteExecutor {
  /** Whether it was closed. */
  readonly closed: boolean;
  /** How values are read, by the number of their type. */
  readonly parsers: object;
  /** Runs a function in a transaction. */
  transaction<T>(work: (transaction: PGliteExecutor) => Promise<T>): Promise<T>;
  /** Calls back for each notification; what it returns ends that. */
  onNotification(callback: (channel: string, payload: string) => void): () => void;
  /** Whether the session is inside of a transaction. */
  isInTransaction?(): boolean;
}

/** A database of PGlite, or a transaction on it. */
export interface PGliteExecutor {
  /** Runs one statement with values. */
  query(text: string, values: Cell[], options: PGliteQueryOptions): Promise<PGliteAnswer>;
  /** Runs statements without values. */
  exec(text: string, options: PGliteQueryOptions): Promise<PGliteAnswer[]>;
}

/** What PGlite can be told of a statement. */
export interface PGliteQueryOptions {
  /** Rows as arrays. */
  rowMode: "array";
  /** How values are read, by the number of their type. */
  parsers: Record<string, (value: string) => string>;
  /** How values are written. */
  serializers: Record<string, (value: string) => string>;
}

/** What PGlite answers to a statement. */
export interface PGliteAnswer {
  /** Its rows. */
  rows: unknown[];
  /** How many rows this and the statements before it have changed. */
  affectedRows?: number | undefined;
  /** How many rows it returned or changed. */
  rowCount?: number | undefined;
}

function toResult(answer: PGliteAnswer | undefined): QueryResult {
  const rows = (answer?.rows ?? []) as Row[];
  return { rows, count: answer?.rowCount ?? (rows.length || (answer?.affectedRows ?? 0)) };
}

function asItIs(value: string): string {
  return value;
}

/** PGlite asks for the one that it needs. */
const AS_THEY_ARE = new Proxy<Record<string, (value: string) => string>>({}, { get: () => asItIs });

const SETTINGS = "set default_transaction_isolation = 'read committed'; set array_nulls = on";
