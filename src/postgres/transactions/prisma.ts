import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of Prisma; `undefined` for what is not of Prisma. */
export function prismaTransaction(given: unknown): CallerTransaction | undefined {
  const { $queryRawUnsafe, $connect } = given as Partial<Prisma>;
  if (typeof $queryRawUnsafe !== "function") return undefined;
  if ($connect !== undefined) {
    throw noTransaction("Prisma", "The client", "the `tx` of `prisma.$transaction(async (tx) => ...)`");
  }
  return new FramedTransaction(new InPrisma(given as Prisma));
}

/** An interactive transaction of Prisma. */
export interface PrismaTransaction {
  /** Sends SQL. */
  $queryRawUnsafe(...args: never[]): unknown;
}

interface Prisma {
  readonly $connect: unknown;
  $queryRawUnsafe(text: string, ...values: Cell[]): Promise<unknown>;
}

class InPrisma implements LibraryTransaction {
  readonly name = "Prisma";
  readonly #transaction: Prisma;

  constructor(transaction: Prisma) {
    this.#transaction = transaction;
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    return this.#transaction.$queryRawUnsafe(text, ...values).catch((error: unknown) => {
      throw asServerError(error);
    });
  }

  isEnd(error: unknown): boolean {
    return (error as { readonly code?: unknown } | null)?.code === "P2028";
  }
}

/** What the server has said, which Prisma keeps in its metadata; any other error as it is. */
function asServerError(error: unknown): unknown {
  const { meta } = (error ?? {}) as { readonly meta?: { readonly driverAdapterError?: { readonly cause?: Said } } };
  const { originalCode: code, originalMessage } = meta?.driverAdapterError?.cause ?? {};
  if (code === undefined) return error;
  return Object.assign(new Error(originalMessage ?? `SQLSTATE ${code}`, { cause: error }), { code, severity: "ERROR" });
}

interface Said {
  readonly originalCode?: string;
  readonly originalMessage?: string;
}
