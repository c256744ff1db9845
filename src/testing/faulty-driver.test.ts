import { describe, expect, it } from "vitest";
import type { Driver, Query } from "../postgres/driver.ts";
import { createManualClock } from "./manual-clock.ts";
import { faultyDriver } from "./faulty-driver.ts";

/** A driver that notes what reaches the server, and whether transactions are committed. */
function recordingDriver() {
  const sent: string[] = [];
  const query = async ({ text }: Query) => {
    sent.push(text);
    return { rows: [[text]], count: 1 };
  };
  const transaction: Driver["transaction"] = async (work) => {
    sent.push("begin");
    try {
      const result = await work({ query });
      sent.push("commit");
      return result;
    } catch (error) {
      sent.push("rollback");
      throw error;
    }
  };
  const driver: Driver = {
    query,
    transaction,
    listen: () => Promise.reject(new Error("not here")),
    close: async () => void sent.push("close"),
  };
  return { driver, sent };
}

const add = { text: 'select "howdah"."_howdah_add_plain_job_v1"($1)' };
const tick = { text: 'select "howdah"."_howdah_add_cron_ticks_v1"($1)' };
const claim = { text: 'select * from "howdah"."_howdah_claim_v1"($1)' };
const both = { text: 'select "howdah"."_howdah_release_v1"() union all select * from "howdah"."_howdah_claim_v1"()' };

describe("a faulty driver", () => {
  it("does what the driver behind it does, without faults", async () => {
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver);
    expect(await faulty.query(add)).toEqual({ rows: [[add.text]], count: 1 });
    expect(await faulty.transaction(async (inside) => (await inside.query(claim)).count)).toBe(1);
    await faulty.close();
    expect(sent).toEqual([add.text, "begin", claim.text, "commit", "close"]);
    expect([faulty.share, faulty.within, faulty.capabilities]).toEqual([undefined, undefined, undefined]);
  });

  it("loses a statement, or its answer", async () => {
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver);
    const lost = { code: "HOWDAH_CONNECTION_LOST" };
    const before = faulty.inject({ happens: "lost-before" });
    await expect(faulty.query(add)).rejects.toMatchObject(lost);
    const after = faulty.inject({ happens: "lost-after" });
    await expect(faulty.query(claim)).rejects.toMatchObject(lost);
    await faulty.query(tick);
    expect(sent).toEqual([claim.text, tick.text]);
    expect([before.happened, after.happened]).toEqual([1, 1]);
  });

  it("refuses a statement with a SQLSTATE, from the nth of a kind on", async () => {
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver);
    const fault = faulty.inject({ on: "add", nth: 2, times: 2, happens: { sqlState: "53300" } });
    await faulty.query(claim);
    await faulty.query(add);
    await faulty.query(tick);
    await expect(faulty.query(add)).rejects.toMatchObject({ code: "53300" });
    await expect(faulty.query(add)).rejects.toMatchObject({ code: "53300" });
    await faulty.query(add);
    expect(sent).toEqual([claim.text, add.text, tick.text, add.text]);
    expect(fault.happened).toBe(2);
  });

  it("knows a statement that ends claims and makes the next one as both", async () => {
    const faulty = faultyDriver(recordingDriver().driver);
    faulty.inject({ on: "claim", happens: { sqlState: "40001" } });
    await expect(faulty.query(both)).rejects.toMatchObject({ code: "40001" });
    faulty.inject({ on: "release", happens: { sqlState: "40P01" } });
    await expect(faulty.query(both)).rejects.toMatchObject({ code: "40P01" });
  });

  it("asks a function, and forgets faults that are taken back", async () => {
    const faulty = faultyDriver(recordingDriver().driver);
    const fault = faulty.inject({ on: ({ text }) => text.includes("cron"), times: Infinity, happens: "lost-before" });
    await faulty.query(add);
    await expect(faulty.query(tick)).rejects.toThrow("lost on purpose");
    await expect(faulty.query(tick)).rejects.toThrow("lost on purpose");
    fault.remove();
    await faulty.query(tick);
    faulty.inject({ happens: "lost-before" });
    faulty.heal();
    await faulty.query(tick);
  });

  it("is slow", async () => {
    const clock = createManualClock();
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver, clock);
    faulty.inject({ happens: "slow", delay: "2s" });
    const answered = faulty.query(add);
    await clock.advance(1_999);
    expect(sent).toEqual([]);
    await clock.advance(1);
    await answered;
    expect(sent).toEqual([add.text]);
  });

  it("loses the connection before a commit, and nothing is committed", async () => {
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver);
    faulty.inject({ on: "commit", happens: "lost-before" });
    const work = faulty.transaction(async (inside) => inside.query(add));
    await expect(work).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    expect(sent).toEqual(["begin", add.text, "rollback"]);
  });

  it("loses the connection after a commit, and all is committed", async () => {
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver);
    faulty.inject({ on: "commit", happens: "lost-after" });
    const work = faulty.transaction(async (inside) => inside.query(add));
    await expect(work).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    expect(sent).toEqual(["begin", add.text, "commit"]);
  });

  it("ends a transaction in which something went wrong, as the server does, also when that is caught", async () => {
    const { driver, sent } = recordingDriver();
    const faulty = faultyDriver(driver);
    faulty.inject({ on: "add", happens: { sqlState: "40001" } });
    const work = faulty.transaction(async (inside) => {
      await inside.query(add).catch(() => undefined);
      await expect(inside.query(claim)).rejects.toMatchObject({ code: "40001" });
      return "done";
    });
    await expect(work).rejects.toMatchObject({ code: "40001" });
    expect(sent).toEqual(["begin", "rollback"]);
  });

  it("fails on the shares of a driver, too", async () => {
    const { driver, sent } = recordingDriver();
    const share = { connections: 2, query: driver.query, transaction: driver.transaction };
    const faulty = faultyDriver({ ...driver, share: () => share });
    faulty.inject({ nth: 2, happens: "lost-before" });
    const handlers = faulty.share?.("handlers");
    expect(handlers?.connections).toBe(2);
    await faulty.query(add);
    await expect(handlers?.query(claim)).rejects.toThrow("lost on purpose");
    await handlers?.transaction(async () => undefined);
    expect(sent).toEqual([add.text, "begin", "commit"]);
  });

  it.each([
    {},
    { happens: "lost" },
    { happens: { sqlState: "4000" } },
    { happens: "slow", on: "claims" },
    { happens: "slow", nth: 0 },
    { happens: "slow", times: 0 },
  ])("refuses %o", (fault) => {
    expect(() => faultyDriver(recordingDriver().driver).inject(fault as never)).toThrow(/^Fault option/);
  });
});
