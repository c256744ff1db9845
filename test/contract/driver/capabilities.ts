import { expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { callerTransaction } from "../../../src/postgres/caller-transaction.ts";
import { until } from "../../harness/until.ts";
import { createGate } from "../../harness/worker.ts";
import type { DriverContext } from "./describe-driver.ts";
import { hear } from "./listen.ts";

/** A driver does what it says that it can. */
export function testCapabilities(context: DriverContext): void {
  it("says whether it listens, and for how many statements it has connections", () => {
    expect(context.driver.capabilities).toEqual({
      listen: expect.any(Boolean),
      connections: expect.any(Number),
      ...(context.inProcess ? { inProcess: true } : {}),
    });
    expect(context.driver.capabilities?.connections).toBeGreaterThanOrEqual(1);
  });

  it("has that many transactions under way at once, and lets the next statement wait for its turn", async () => {
    const driver = context.createDriver();
    const connections = driver.capabilities?.connections ?? 1;
    const begun = new Set<string>();
    const gates = Array.from({ length: connections }, () => createGate());
    const transactions = gates.map(({ opened }) =>
      driver.transaction(async (transaction) => {
        const { rows } = await transaction.query({ text: "select pg_current_xact_id()" });
        begun.add(String(rows[0]?.[0]));
        await opened;
      }),
    );
    await until(() => begun.size === connections);
    let isAnswered = false;
    const next = driver.query({ text: "select 1" }).finally(() => (isAnswered = true));
    await systemClock.sleep(50);
    expect(isAnswered).toBe(false);
    gates[0]?.open();
    expect((await next).rows).toEqual([["1"]]);
    for (const { open } of gates) open();
    await Promise.all(transactions);
  });

  it("listens if it says so, and else refuses to", async () => {
    const driver = context.createDriver();
    const hearing = hear(driver, ["capable"]);
    if (driver.capabilities?.listen) await (await hearing).listening.close();
    else await expect(hearing).rejects.toThrow(/listen/);
  });

  it("takes the transaction that it gives, and says that it is open until its end", async () => {
    const { driver } = context;
    const kept = await driver.transaction(async (given) => {
      const transaction = callerTransaction(given, "the test", driver);
      expect(transaction.isOpen).not.toBe(false);
      const { rows } = await transaction.query({ text: "select $1::text", values: ["here"] });
      expect(rows).toEqual([["here"]]);
      return transaction;
    });
    expect(kept.isOpen).not.toBe(true);
    await expect(kept.query({ text: "select 1" })).rejects.toMatchObject({ code: "HOWDAH_TRANSACTION_ENDED" });
  });
}
