import { HowdahError } from "../../src/errors.ts";
import type { Driver, Executor } from "../../src/postgres/driver.ts";

/**
 * A driver whose process dies at one statement, inside of a transaction or not: that
 * statement and all later ones are not sent, and what is open is rolled back. It counts from 1.
 */
export function brokenDriver(driver: Driver, dieAt: number): Driver & { readonly sent: () => number } {
  let sent = 0;
  const broken = ({ query }: Executor): Executor => ({
    async query(statement) {
      sent += 1;
      if (sent >= dieAt) throw new HowdahError("HOWDAH_CONNECTION_LOST", `killed at statement ${dieAt}`);
      return query(statement);
    },
  });
  return {
    ...broken({ query: (statement) => driver.query(statement) }),
    transaction: (work) =>
      driver.transaction((inside) => work(broken({ query: (statement) => inside.query(statement) }))),
    listen: (channels, handlers) => driver.listen(channels, handlers),
    close: () => driver.close(),
    sent: () => sent,
  };
}
