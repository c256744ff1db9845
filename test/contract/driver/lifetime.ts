import { expect, it } from "vitest";
import { until } from "../../harness/until.ts";
import type { DriverContext } from "./describe-driver.ts";
import { backendOf, hear } from "./listen.ts";

/** From the first connection to the last. */
export function testLifetime(context: DriverContext): void {
  it("waits at close for statements and transactions under way", async () => {
    const driver = context.createDriver();
    const order: string[] = [];
    const statement = driver.query({ text: "select pg_sleep(0.1)" }).then(() => order.push("statement"));
    const transaction = driver.transaction(async (inside) => {
      await inside.query({ text: "select pg_sleep(0.1)" });
      await inside.query({ text: "select 1" });
      order.push("transaction");
    });
    await driver.close().then(() => order.push("closed"));
    await Promise.all([statement, transaction]);
    expect(order.at(-1)).toBe("closed");
    expect(order).toHaveLength(3);
  });

  it("closes twice, and before anything was done", async () => {
    const driver = context.createDriver();
    await Promise.all([driver.close(), driver.close()]);
    await expect(driver.close()).resolves.toBeUndefined();
  });

  it("refuses everything after close", async () => {
    const driver = context.createDriver();
    await driver.close();
    const closed = { code: "HOWDAH_CLIENT_CLOSED" };
    await expect(driver.query({ text: "select 1" })).rejects.toMatchObject(closed);
    await expect(driver.transaction(async () => 1)).rejects.toMatchObject(closed);
    await expect(hear(driver, ["late"])).rejects.toMatchObject(closed);
  });

  it("closes what listens, too", async () => {
    const driver = context.createDriver();
    const ear = await hear(driver, ["still open"]);
    const pid = await backendOf(ear.sessions[0]);
    await driver.close();
    await context.driver.query({ text: `notify "still open"` });
    await until(async () => {
      const left = await context.database.sql("select 1 from pg_stat_activity where pid = $1", [Number(pid)]);
      return context.inProcess || left.length === 0;
    });
    expect(ear).toMatchObject({ losses: [], heard: [] });
  });
}
