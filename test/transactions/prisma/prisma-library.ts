import { PrismaPg } from "@prisma/adapter-pg";
import type { Library, LibraryHandle } from "../library.ts";
import { PrismaClient } from "./generated/client.ts";

type Transaction = Parameters<Parameters<PrismaClient["$transaction"]>[0]>[0];

/** Prisma over its adapter for `pg`. */
export const prisma: Library = {
  name: "Prisma",
  unawaited: "refused",
  async open(connectionString) {
    const client = new PrismaClient({ adapter: new PrismaPg({ connectionString, max: 2 }) });
    const handle = (given: Transaction): LibraryHandle => ({
      given,
      insert: (id) => given.order.create({ data: { id } }),
      async savepoint(work) {
        await given.$executeRawUnsafe("savepoint a");
        try {
          return await work(handle(given));
        } catch (error) {
          await given.$executeRawUnsafe("rollback to savepoint a");
          throw error;
        }
      },
      async pid() {
        const rows: { pid: number }[] = await given.$queryRawUnsafe("select pg_backend_pid() as pid");
        return Number(rows[0]?.pid);
      },
    });
    return {
      noTransactions: [client],
      transaction: (work) => client.$transaction((transaction) => work(handle(transaction))),
      close: () => client.$disconnect(),
    };
  },
};
