import { describe, expect, it } from "vitest";
import type { Executor, Query } from "../postgres/driver.ts";
import { createSchema } from "../postgres/schema.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { Announcer } from "./announcer.ts";

const schema = createSchema("howdah");

/** An executor whose statements end when the test says so. */
function heldExecutor() {
  const sent: { readonly values: Query["values"]; answer(error?: Error): void }[] = [];
  const executor: Executor = {
    query: ({ values }) =>
      new Promise((resolve, reject) => {
        sent.push({ values, answer: (error) => (error ? reject(error) : resolve({ rows: [], count: 1 })) });
      }),
  };
  return { executor, sent };
}

const jobs = (count: number, at: string, queueIds: number[] = []) => ({ count, at, queueIds });

describe("Announcer", () => {
  it("tells at once when it is silent", () => {
    const { executor, sent } = heldExecutor();
    new Announcer({ executor, schema, clock: createManualClock() }).added(jobs(2, "100", [7]));
    expect(sent.map(({ values }) => values)).toEqual([["2", "100", "{7}"]]);
  });

  it("lets an add tell by itself that has no other beside it, none shortly before it, and no telling under way", async () => {
    const { executor, sent } = heldExecutor();
    const clock = createManualClock();
    const announcer = new Announcer({ executor, schema, clock });
    expect(announcer.begun()).toBe(true);
    expect(announcer.begun()).toBe(false);
    announcer.ended();
    announcer.ended();
    await clock.advance(4);
    expect(announcer.begun()).toBe(false);
    announcer.ended();
    announcer.added(jobs(1, "100"));
    await clock.advance(5);
    expect(announcer.begun()).toBe(false);
    announcer.ended();
    sent[0]?.answer();
    await announcer.flush();
    await clock.advance(5);
    expect(announcer.begun()).toBe(true);
  });

  it("speaks once for all that are added while it tells, with the earliest time and every queue", async () => {
    const { executor, sent } = heldExecutor();
    const clock = createManualClock();
    const announcer = new Announcer({ executor, schema, clock });
    announcer.added(jobs(1, "100"));
    announcer.added(jobs(1, "300", [1]));
    announcer.added(jobs(3, "200", [2, 1]));
    sent[0]?.answer();
    await clock.advance(1);
    expect(sent).toHaveLength(1);
    await clock.advance(1);
    expect(sent[1]?.values).toEqual(["4", "200", "{1,2}"]);
    sent[1]?.answer();
    await announcer.flush();
    expect(sent).toHaveLength(2);
  });

  it("tells again what a failed statement was to tell", async () => {
    const { executor, sent } = heldExecutor();
    const clock = createManualClock();
    const announcer = new Announcer({ executor, schema, clock });
    announcer.added(jobs(1, "200", [1]));
    announcer.added(jobs(1, "100", [2]));
    sent[0]?.answer(new Error("cut off"));
    await clock.advance(10_000);
    expect(sent[1]?.values).toEqual(["2", "100", "{1,2}"]);
  });

  it("gives up when the database stays away, and begins anew with the next add", async () => {
    const clock = createManualClock();
    let tries = 0;
    const executor: Executor = {
      query() {
        tries += 1;
        return Promise.reject(new Error("gone"));
      },
    };
    const announcer = new Announcer({ executor, schema, clock });
    announcer.added(jobs(1, "100"));
    await clock.advance(600_000);
    expect(tries).toBe(5);
    announcer.added(jobs(1, "100"));
    expect(tries).toBe(6);
  });

  it("says nothing about nothing", async () => {
    const { executor, sent } = heldExecutor();
    const announcer = new Announcer({ executor, schema, clock: createManualClock() });
    announcer.added(jobs(0, "100"));
    await announcer.flush();
    expect(sent).toEqual([]);
  });
});
