import { expect, it } from "vitest";
import { workerContext } from "../../test/harness/worker-context.ts";
import { createTaskRegistry } from "../job/task-registry.ts";
import { defineTask } from "../job/task.ts";
import type { Driver, Query } from "../postgres/driver.ts";
import { HistoryKeeper } from "./history-keeper.ts";

/** A keeper over a database in memory in which two things are to do at first, and then nothing for a minute. */
function setUp(keep?: "7d") {
  const sent: (string | null | undefined)[] = [];
  let left = 2;
  const driver = {
    async query({ values }: Query) {
      sent.push(values?.[0]);
      left -= 1;
      return { rows: [left >= 0 ? ["made a partition", "0"] : [null, "60000"]], count: 1 };
    },
  } as Pick<Driver, "query"> as Driver;
  const tasks = createTaskRegistry([defineTask({ identifier: "a", keep, run() {} })]);
  const { clock, ...context } = workerContext({ driver, tasks });
  const host = { isIdle: false };
  return { clock, host, keeper: new HistoryKeeper({ ...context, clock }, host), take: () => sent.splice(0) };
}

it("does at once what there is to do for tasks that keep something, then asks once a minute", async () => {
  const { clock, keeper, take } = setUp("7d");
  keeper.start();
  await clock.advance(0);
  expect(take()).toEqual(["true", "true", "true"]);
  await clock.advance(66_000);
  expect(take()).toEqual(["false"]);
  const stopping = keeper.stop();
  await clock.advance(1_000);
  await stopping;
  expect(clock.pending).toBe(0);
});

it("asks late where nothing is kept, and not while the worker is idle", async () => {
  const { clock, host, keeper, take } = setUp();
  keeper.start();
  await clock.advance(299_000);
  expect(take()).toEqual([]);
  await clock.advance(302_000);
  expect(take().slice(0, 3)).toEqual(["false", "false", "false"]);
  host.isIdle = true;
  await clock.advance(120_000);
  take();
  await clock.advance(600_000);
  expect(take()).toEqual([]);
  const stopping = keeper.stop();
  await clock.advance(1_000);
  await stopping;
});
