import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import type { Driver } from "./driver.ts";
import { reachDatabase } from "./reach-database.ts";

const sqlError = (code: string): Error => Object.assign(new Error(`SQLSTATE ${code}`), { code });
const refused = (): Error => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

/** A driver whose answers are the given errors, one after another, and then success. */
function failing(errors: readonly unknown[]): { driver: Driver; asked: () => number } {
  let asked = 0;
  const driver = {
    query: async () => {
      const error = errors[asked++];
      if (error !== undefined) throw error;
      return { rows: [["1767225600"]], count: 1 };
    },
  } as unknown as Driver;
  return { driver, asked: () => asked };
}

describe("reachDatabase", () => {
  it("tries again until the database answers", async () => {
    const clock = createManualClock();
    const { driver, asked } = failing([refused(), Object.assign(new Error("starting up"), { code: "57P03" })]);
    const reached = reachDatabase({ driver, clock, timeoutMs: 10_000, target: "db" });
    await clock.advance(1_000);
    expect(await reached).toEqual({
      databaseMs: 1_767_225_600_000,
      processMs: Date.UTC(2026, 0, 1) + 500,
      apartMs: 0,
    });
    expect(asked()).toBe(3);
  });

  it("gives up when its time is over, with the last error as the cause", async () => {
    const clock = createManualClock();
    const error = refused();
    const { driver } = failing(Array.from({ length: 1_000 }, () => error));
    const reaching = reachDatabase({ driver, clock, timeoutMs: 2_000, target: "db" }).catch(
      (thrown: unknown) => thrown,
    );
    await clock.advance(2_000);
    expect(await reaching).toMatchObject({
      code: "HOWDAH_DATABASE_UNREACHABLE",
      message: expect.stringMatching(/db.*2000 ms.*ECONNREFUSED/),
      cause: error,
    });
  });

  it("says once, and with its reason, that the database could not be reached", async () => {
    const wrapped = new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "The database could not be reached: no", refused());
    const { driver } = failing([wrapped]);
    const reaching = reachDatabase({ driver, clock: createManualClock(), timeoutMs: 1, target: "db" });
    await expect(reaching).rejects.toThrow(/^Could not reach db within 1 ms: connect ECONNREFUSED$/);
  });

  it.each([
    ["28P01", "HOWDAH_DATABASE_FORBIDDEN"],
    ["28000", "HOWDAH_DATABASE_FORBIDDEN"],
    ["3D000", "HOWDAH_DATABASE_UNREACHABLE"],
  ])("does not try again after SQLSTATE %s", async (code, expected) => {
    const { driver, asked } = failing([Object.assign(new Error("no"), { code, severity: "FATAL" })]);
    const reaching = reachDatabase({ driver, clock: createManualClock(), timeoutMs: 10_000, target: "db" });
    await expect(reaching).rejects.toMatchObject({ code: expected });
    expect(asked()).toBe(1);
  });

  it("prepares it, and begins anew when the connection is lost meanwhile", async () => {
    const clock = createManualClock();
    const { driver, asked } = failing([]);
    const lost = [new HowdahError("HOWDAH_CONNECTION_LOST", "cut"), sqlError("57P01"), sqlError("25006"), refused()];
    let prepared = 0;
    const prepare = async (): Promise<void> => {
      const error = lost[prepared++];
      if (error) throw error;
    };
    const reached = reachDatabase({ driver, clock, timeoutMs: 10_000, target: "db" }, prepare);
    await clock.advance(2_000);
    await reached;
    expect([asked(), prepared]).toEqual([5, 5]);
  });

  it.each([sqlError("42501"), sqlError("57014"), new HowdahError("HOWDAH_SCHEMA_MISSING", "no")])(
    "passes on what preparing it fails with (%s)",
    async (error) => {
      const { driver } = failing([]);
      const prepare = () => Promise.reject(error);
      const reaching = reachDatabase({ driver, clock: createManualClock(), timeoutMs: 10_000, target: "db" }, prepare);
      await expect(reaching).rejects.toBe(error);
    },
  );

  it("passes errors of ours on that trying again does not cure", async () => {
    const error = new HowdahError("HOWDAH_OPTION_INVALID", "no");
    const { driver } = failing([error]);
    const reaching = reachDatabase({ driver, clock: createManualClock(), timeoutMs: 10_000, target: "db" });
    await expect(reaching).rejects.toBe(error);
  });
});
