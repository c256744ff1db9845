import pg from "pg";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { describeDriver } from "./describe-driver.ts";

describeDriver("pg", (connectionString) => pgDriver({ connectionString }));

describeDriver("pg behind a transaction pooler", (connectionString) =>
  pgDriver({ connectionString, preparedStatements: false }),
);

describeDriver("pg over a pool of the application", (connectionString) => {
  const pool = new pg.Pool({ connectionString, max: 10 });
  const driver = pgDriver({ pool });
  let closed: Promise<void> | undefined;
  return {
    capabilities: driver.capabilities,
    query: (query) => driver.query(query),
    transaction: (work) => driver.transaction(work),
    listen: (channels, handlers) => driver.listen(channels, handlers),
    close: () => (closed ??= closeAll()),
  };

  async function closeAll(): Promise<void> {
    await driver.close();
    // Only now: as long as the driver is open, it is the driver that minds.
    pool.on("error", () => undefined);
    await pool.end();
  }
});
