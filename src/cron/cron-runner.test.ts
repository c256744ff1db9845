import { describe, expect, it } from "vitest";
import { workerContext } from "../../test/harness/worker-context.ts";
import { defineTask } from "../job/task.ts";
import { createTaskRegistry } from "../job/task-registry.ts";
import type { TickToAdd } from "../postgres/queries/cron-ledger.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { parseCrontab } from "./crontab.ts";
import { CronRunner } from "./cron-runner.ts";
import { prepareRecurringJob } from "./recurring-job.ts";

/** A runner of one entry a name, each every minute, over a database that `addTicks` stands for. */
async function setUp(names: readonly string[], addTicks: (ids: readonly string[]) => Promise<void>) {
  const clock = createManualClock(Date.parse("2026-01-01T00:00:30Z"));
  const entries = parseCrontab(names.map((name) => `* * * * * ${name}`).join("\n"));
  const added: string[] = [];
  const told: string[] = [];
  const reads: string[] = [];
  const context = workerContext({
    clock,
    tasks: createTaskRegistry(names.map((identifier) => defineTask({ identifier, run() {} }))),
  });
  context.hooks.on("workerError", ({ activity }) => void told.push(activity));
  const recurring = await Promise.all(entries.map((entry) => prepareRecurringJob(entry)));
  const runner = new CronRunner(context, recurring, {
    register: () => Promise.resolve(new Map()),
    listSchedules: async () => (reads.push("schedules"), []),
    seeTasks: () => Promise.resolve(),
    addScheduleTicks: () => Promise.resolve([]),
    async addTicks(ticks: readonly TickToAdd[]) {
      await addTicks(ticks.map(({ id }) => id));
      for (const { id, tickMs } of ticks) added.push(`${id} ${new Date(tickMs).toISOString().slice(14, 16)}`);
      return ticks.map(() => "1");
    },
  });
  runner.start();
  await clock.advance(0);
  const pass = async (seconds: number): Promise<readonly string[]> => {
    for (let second = 0; second < seconds; second += 1) await clock.advance(1_000);
    return added.splice(0);
  };
  return { runner, pass, told, reads };
}

const refused = (): Promise<never> => Promise.reject(Object.assign(new Error("no"), { code: "57014" }));

describe("a cron runner", () => {
  it("adds its ticks while its worker is idle, and reads the schedules only when a change is notified", async () => {
    const { runner, pass, reads } = await setUp(["good"], () => Promise.resolve());
    runner.listening(true);
    await pass(130);
    expect(reads.splice(0).length).toBeGreaterThan(2);
    runner.resting(true);
    expect(await pass(300)).toEqual(["good 03", "good 04", "good 05", "good 06", "good 07"]);
    expect(reads).toEqual([]);
    runner.schedulesChanged();
    await pass(120);
    expect(reads.splice(0)).toHaveLength(1);
    runner.resting(false);
    await pass(1);
    expect(reads).toHaveLength(1);
    await runner.stop();
  });

  it("adds the ticks of others on time while a tick that was refused before takes long", async () => {
    let tries = 0;
    const ends: (() => void)[] = [];
    const { runner, pass, told } = await setUp(["good", "bad", "fine"], (ids) => {
      if (!ids.includes("bad")) return Promise.resolve();
      tries += 1;
      // Together, and then alone: refused. After that it hangs.
      return tries <= 2 ? refused() : new Promise((resolve) => ends.push(resolve));
    });
    expect(await pass(31)).toEqual(["good 01", "fine 01"]);
    expect(await pass(60)).toEqual(["good 02", "fine 02"]);
    expect(await pass(60)).toEqual(["good 03", "fine 03"]);
    expect([tries, ends.length]).toEqual([3, 1]);
    expect(told).toEqual(['add a job of crontab entry "bad"']);
    ends.shift()?.();
    // What is left of it comes in order, and it is no longer apart.
    expect(await pass(1)).toEqual(["bad 01"]);
    const stopping = runner.stop();
    for (const end of ends.splice(0)) end();
    await stopping;
  });

  it("does not try an entry in trouble more often when the server is away", async () => {
    let isAway = false;
    let tries = 0;
    const { runner, pass } = await setUp(["good", "bad"], (ids) => {
      if (!ids.includes("bad")) return Promise.resolve();
      tries += 1;
      return isAway ? Promise.reject(Object.assign(new Error("away"), { code: "ECONNREFUSED" })) : refused();
    });
    await pass(31);
    isAway = true;
    tries = 0;
    await pass(300);
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(16);
    await runner.stop();
  });
});
