import { describe, expect, it } from "vitest";
import type { Backlog, BacklogOptions } from "../client/backlog.ts";
import type { Client } from "../client/client.ts";
import { HowdahError } from "../errors.ts";
import { createHooks } from "../hooks/hooks.ts";
import { silentLogger } from "../runtime/logger.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { BacklogReader } from "./backlog-reader.ts";
import { TaskLabels } from "./task-labels.ts";

const count = (value: number) => ({ value, exact: true, asOf: new Date(0) });
const states = (ready: number) => ({ ready: count(ready), scheduled: count(0), running: count(0), failed: count(0) });
const BACKLOG: Backlog = {
  jobs: states(7),
  isSample: false,
  tasks: [
    { name: "a", ...states(4) },
    { name: "b", ...states(2) },
    { name: "c", ...states(1) },
  ],
  oldestDue: { plainMs: 1_500, queuedMs: null },
  pools: [
    { name: "api", concurrency: 50, running: 41, nextStartAt: null },
    { name: "rated", concurrency: "unlimited", running: null, nextStartAt: new Date(0) },
  ],
};

function setUp() {
  const clock = createManualClock();
  const reader = new BacklogReader(clock, new TaskLabels(1));
  const asked: string[] = [];
  const options: BacklogOptions[] = [];
  /** A client whose readings take so long. */
  const client = (
    name: string,
    answer: { readonly takesMs?: number; readonly error?: Error; isSample?: boolean } = {},
  ): void => {
    const hooks = createHooks({ logger: silentLogger });
    const backlog = async ({ maxSampleAge, tasks }: BacklogOptions = {}): Promise<Backlog> => {
      asked.push(name);
      options.push({ maxSampleAge, tasks });
      await clock.sleep(answer.takesMs ?? 0);
      if (answer.error) throw answer.error;
      return { ...BACKLOG, isSample: answer.isSample === true, tasks: tasks === false ? [] : BACKLOG.tasks };
    };
    hooks.attach({ backlog } as Partial<Client> as Client);
    reader.follow(hooks);
  };
  const values = () =>
    Object.fromEntries([...reader.values()].map(({ name, labels, value }) => [[name, ...labels].join(" "), value]));
  return { clock, reader, asked, options, client, values };
}

describe("a reader of the backlog", () => {
  it("reads when it is asked for, and not again before ten seconds", async () => {
    const { clock, reader, asked, client, values } = setUp();
    client("one");
    expect(values()).toEqual({});
    await Promise.all([reader.refresh(), clock.advance(0)]);
    expect(values()).toMatchObject({
      "howdah_queue_jobs ready": 7,
      "howdah_task_jobs a ready": 4,
      "howdah_task_jobs _other ready": 3,
      "howdah_pool_jobs api": 41,
      "howdah_pool_jobs_limit api": 50,
      "howdah_oldest_due_seconds plain": 1.5,
      "howdah_oldest_due_seconds queued": 0,
      howdah_backlog_age_seconds: 0,
    });
    expect(Object.keys(values()).filter((name) => name.includes("rated"))).toEqual([]);
    await clock.advance(9_999);
    await reader.refresh();
    expect(asked).toHaveLength(1);
    expect(values()["howdah_backlog_age_seconds"]).toBe(9.999);
    await clock.advance(1);
    await Promise.all([reader.refresh(), clock.advance(0)]);
    expect(asked).toHaveLength(2);
  });

  it("takes the numbers of a sample, and reads those of tasks once a minute beside it", async () => {
    const { clock, reader, options, client, values } = setUp();
    const answer = { isSample: true };
    client("one", answer);
    for (let times = 0; times < 8; times += 1) {
      await Promise.all([reader.refresh(), clock.advance(0)]);
      expect(values()).toMatchObject({ "howdah_queue_jobs ready": 7, "howdah_task_jobs a ready": 4 });
      await clock.advance(10_000);
    }
    const maxSampleAge = 20_000;
    expect(options.map(({ tasks }) => tasks)).toEqual([true, false, false, false, false, false, true, false]);
    expect(options[0]).toEqual({ maxSampleAge, tasks: true });
    // No worker takes samples any more: what is counted is counted together.
    answer.isSample = false;
    for (let times = 0; times < 3; times += 1) {
      await Promise.all([reader.refresh(), clock.advance(0)]);
      await clock.advance(10_000);
    }
    expect(options.slice(8).map(({ tasks }) => tasks)).toEqual([false, true, true]);
  });

  it("rests for a minute at most after a reading that has failed", async () => {
    const { clock, reader, asked, client } = setUp();
    client("away", { takesMs: 30_000, error: new HowdahError("HOWDAH_CONNECTION_LOST", "It is away.") });
    const first = reader.refresh();
    await clock.advance(30_000);
    await first;
    await clock.advance(59_999);
    await reader.refresh();
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    const second = reader.refresh();
    await clock.advance(1_000);
    await second;
    expect(asked).toHaveLength(2);
  });

  it("rests for twenty times what a reading took, and shows old numbers after a second", async () => {
    const { clock, reader, asked, client, values } = setUp();
    client("slow", { takesMs: 3_000 });
    let waited = 0;
    const scrape = reader.refresh().then(() => (waited = clock.monotonic()));
    await clock.advance(1_000);
    await scrape;
    expect(values()).toEqual({});
    const began = waited;
    await clock.advance(2_000);
    expect(values()).toMatchObject({ "howdah_queue_jobs ready": 7, howdah_backlog_read_seconds: 3 });
    await clock.advance(59_999);
    await reader.refresh();
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    void reader.refresh();
    expect(asked).toHaveLength(2);
    expect(began).toBeGreaterThan(0);
  });

  it("asks the next client when one has closed or is not connected, and none when the database does not answer", async () => {
    const { clock, reader, asked, client, values } = setUp();
    reader.follow(createHooks({ logger: silentLogger }));
    client("closed", { error: new HowdahError("HOWDAH_CLIENT_CLOSED", "closed") });
    client("open");
    await Promise.all([reader.refresh(), clock.advance(0)]);
    await clock.advance(0);
    expect(asked).toEqual(["closed", "open"]);
    expect(values()["howdah_queue_jobs ready"]).toBe(7);

    const away = setUp();
    away.client("away", { error: new HowdahError("HOWDAH_CONNECTION_LOST", "away") });
    away.client("other");
    await Promise.all([away.reader.refresh(), away.clock.advance(0)]);
    expect(away.asked).toEqual(["away"]);
    expect(away.values()).toEqual({});
  });
});
