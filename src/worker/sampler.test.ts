import { describe, expect, it } from "vitest";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import { createTaskRegistry } from "../job/task-registry.ts";
import { defineTask } from "../job/task.ts";
import type { Driver, Query } from "../postgres/driver.ts";
import { Sampler } from "./sampler.ts";

/** A sampler over a database in memory in which another sample is due 8 s after each. */
function setUp() {
  const sent: string[] = [];
  const state = { isDown: false, isStalled: false };
  const driver = {
    async query({ name, values }: Query) {
      sent.push(name === "howdah_sample" ? "sample" : `add ${values?.[0]} ${values?.[1]}`);
      if (state.isDown) throw new Error("down");
      if (state.isStalled) return new Promise<never>(() => {});
      return { rows: name === "howdah_sample" ? [["f", "8000"]] : [], count: 0 };
    },
  } as Pick<Driver, "query"> as Driver;
  // Half of every random time: the first sample after 5 s, each further one after 8 + 1 s.
  const tasks = createTaskRegistry(["a", "b"].map((identifier) => defineTask({ identifier, run() {} })));
  const { clock, ...context } = workerContext({ driver, tasks });
  const end = (task: string, kind: "completed" | "failed"): void => {
    const failed = { kind: "failed", final: false, error: "no", message: "no", delayMs: 1 } as const;
    const outcome = kind === "completed" ? { kind } : failed;
    const job = { task } as Partial<ClaimedJob> as ClaimedJob;
    context.reporter.released({ job, outcome, durationMs: 1, endsChain: true, lost: false }, "0");
  };
  const host = { isIdle: false };
  const sampler = new Sampler({ ...context, clock }, host);
  return { host, end, clock, sampler, sent, state, take: () => sent.splice(0) };
}

describe("a sampler", () => {
  it("asks once when a sample may be due, and sends nothing else while no handler runs", async () => {
    const { clock, sampler, take } = setUp();
    sampler.start();
    await clock.advance(4_999);
    expect(take()).toEqual([]);
    await clock.advance(1);
    expect(take()).toEqual(["sample"]);
    await clock.advance(8_999);
    expect(take()).toEqual([]);
    await clock.advance(1);
    expect(take()).toEqual(["sample"]);
    await clock.advance(90_000);
    expect(take()).toEqual(Array.from({ length: 10 }, () => "sample"));
    await sampler.stop();
    await clock.advance(60_000);
    expect(take()).toEqual([]);
  });

  it("adds once a minute what handlers did, and at the end", async () => {
    const { clock, sampler, take, end } = setUp();
    const added = () => take().filter((statement) => statement !== "sample");
    sampler.start();
    end("a", "completed");
    end("a", "completed");
    end("b", "failed");
    await clock.advance(59_999);
    expect(added()).toEqual([]);
    await clock.advance(1);
    expect(added()).toEqual(['add {"a","b"} {2,0}']);
    await clock.advance(60_000);
    expect(added()).toEqual([]);
    end("a", "completed");
    await sampler.stop();
    expect(added()).toEqual(['add {"a"} {1}']);
  });

  it("sends nothing while its worker is idle, and goes on when that is over", async () => {
    const { clock, host, sampler, take, end } = setUp();
    sampler.start();
    await clock.advance(20_000);
    expect(take()).toEqual(["sample", "sample"]);
    end("a", "completed");
    host.isIdle = true;
    await clock.advance(300_000);
    expect(take()).toEqual([]);
    host.isIdle = false;
    await clock.advance(10_000);
    expect(take()).toEqual(['add {"a"} {1}', "sample"]);
    await sampler.stop();
  });

  it("rests for longer and longer while the database is away, and sends no counts twice", async () => {
    const { clock, sampler, state, take, end } = setUp();
    sampler.start();
    end("a", "completed");
    state.isDown = true;
    await clock.advance(60_000);
    const before = take();
    expect(before.length).toBeLessThan(8);
    state.isDown = false;
    await clock.advance(300_000);
    const sent = [...before, ...take()];
    expect(sent.filter((statement) => statement.startsWith("add"))).toHaveLength(1);
    expect(sent.filter((statement) => statement === "sample").length).toBeGreaterThan(10);
    await sampler.stop();
  });

  it("ends although the database does not answer", async () => {
    const { sampler, state, take, end } = setUp();
    state.isDown = true;
    sampler.start();
    end("a", "completed");
    await sampler.stop();
    expect(take()).toEqual(['add {"a"} {1}']);
  });

  it("ends within a second while a sample is under way that takes long", async () => {
    const { clock, sampler, state, take } = setUp();
    state.isStalled = true;
    sampler.start();
    await clock.advance(5_000);
    expect(take()).toEqual(["sample"]);
    let hasEnded = false;
    const stopping = sampler.stop().then(() => (hasEnded = true));
    await clock.advance(999);
    expect(hasEnded).toBe(false);
    await clock.advance(1);
    await stopping;
    expect(take()).toEqual([]);
  });
});
