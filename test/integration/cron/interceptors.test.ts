import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import type { JobScheduleDecision, JobScheduleEvent, ScheduleResult } from "../../../src/hooks/interceptors.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { jobsOf, runCronWorker } from "../../harness/cron.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
const client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(async () => {
  await database.sql(
    "delete from howdah._private_jobs; delete from howdah._private_known_crontabs; delete from howdah._howdah_schedules",
  );
});

const START = "2021-01-01T03:30:00Z";

/** The two sources of ticks: an entry of the crontab, and a stored schedule. Both are due at every full hour. */
const SOURCES = [
  ["crontab", async () => ({ crontab: "0 * * * * do_it ?priority=3&queue=q {n:1}" })],
  [
    "schedule",
    async () => {
      const spec = { priority: 3, queueName: "q" };
      await client.schedules.upsert({ id: "do_it", task: "do_it", schedule: "0 * * * *", payload: { n: 1 }, spec });
      await database.sql("update howdah._howdah_schedules set since = '2021-01-01T03:10:00Z'");
      return {};
    },
  ],
] as const satisfies readonly (readonly [string, () => Promise<Partial<WorkerOptions>>])[];

/** Up to when the ticks of an entry are decided. */
async function decidedUntil(source: string): Promise<unknown> {
  const [row] = await database.sql(
    source === "crontab"
      ? "select last_execution as at from howdah._private_known_crontabs"
      : "select last_tick as at from howdah._howdah_schedules",
  );
  return row?.["at"];
}

describe.each(SOURCES)("a tick of a %s", (source, prepare) => {
  /** A worker whose ticks `decide` has a say in. */
  async function runWith(decide: (event: JobScheduleEvent) => JobScheduleDecision | void) {
    return runCronWorker(database, START, { ...(await prepare()), hooks: { beforeJobSchedule: decide } });
  }

  it("is asked about with its job, which is then told to have been added", async () => {
    const events: JobScheduleEvent[] = [];
    const ends: ScheduleResult[] = [];
    await using run = await runWith((event) => {
      events.push(event);
      event.call.whenEnded((end) => void ends.push(end));
    });
    await run.settled();
    await run.advanceTo("2021-01-01T04:00:01Z");
    const { jobId } = await run.scheduled.reach();
    expect(events).toMatchObject([
      {
        task: "do_it",
        payload: { n: 1, _cron: { ts: "2021-01-01T04:00:00.000Z", backfilled: false } },
        spec: { priority: 3, queueName: "q", runAt: new Date("2021-01-01T04:00:00Z") },
        call: { method: "tick", size: 1 },
      },
    ]);
    expect(ends).toEqual([{ jobIds: [jobId] }]);
  });

  it("that is skipped is remembered and gets no job", async () => {
    let asked = 0;
    await using run = await runWith(() => {
      asked += 1;
      return asked === 1 ? { action: "skip" } : undefined;
    });
    await run.settled();
    await run.advanceTo("2021-01-01T04:00:01Z");
    await run.ticks.reach();
    expect(run.scheduled.events).toEqual([]);
    expect(await decidedUntil(source)).toEqual(new Date("2021-01-01T04:00:00Z"));
    await run.settled();
    await run.advanceTo("2021-01-01T05:00:01Z");
    await run.scheduled.reach();
    expect((await jobsOf(database, "do_it")).map(({ runAt }) => runAt)).toEqual(["2021-01-01T05:00:00.000Z"]);
    expect(asked).toBe(2);
  });

  it("can be given a delay, by the clock of the database", async () => {
    await using run = await runWith(({ spec }) => ({
      action: "continue",
      spec: { ...spec, runAt: undefined, runIn: "1h" },
    }));
    await run.settled();
    await run.advanceTo("2021-01-01T04:00:01Z");
    const { jobId } = await run.scheduled.reach();
    const rows = await database.sql(
      `select (run_at - created_at)::text as delay from howdah._private_jobs where id = ${jobId}`,
    );
    expect(rows).toEqual([{ delay: "01:00:00" }]);
  });

  it("is stored as its interceptors have left it", async () => {
    await using run = await runWith(({ spec, payload }) => ({
      action: "continue",
      payload: { ...(payload as object), checked: true },
      attach: { _x: 1 },
      spec: { ...spec, jobKey: "k", priority: -1, runAt: "2021-01-01T04:30:00Z" },
    }));
    await run.settled();
    await run.advanceTo("2021-01-01T04:00:01Z");
    const { jobId } = await run.scheduled.reach();
    expect(await client.getJob(jobId)).toMatchObject({
      task: "do_it",
      queueName: "q",
      jobKey: "k",
      priority: -1,
      runAt: new Date("2021-01-01T04:30:00Z"),
      payload: { n: 1, checked: true, _x: 1, _cron: { ts: "2021-01-01T04:00:00.000Z" } },
    });
    expect(await decidedUntil(source)).toEqual(new Date("2021-01-01T04:00:00Z"));
  });

  it("that is refused is reported and made up for when it is no longer", async () => {
    let isRefused = true;
    await using run = await runWith(() => (isRefused ? { action: "fail", message: "quota" } : undefined));
    await run.settled();
    await run.advanceTo("2021-01-01T04:00:01Z");
    const { error, activity } = await run.errors.reach();
    expect(error).toMatchObject({ code: "HOWDAH_JOB_REFUSED", message: expect.stringMatching(/quota$/) });
    expect(activity).toContain(`${source} entry "do_it"`);
    expect(await jobsOf(database, "do_it")).toEqual([]);
    isRefused = false;
    await run.settled();
    await run.advanceTo("2021-01-01T04:01:05Z");
    await run.scheduled.reach();
    expect((await jobsOf(database, "do_it")).map(({ runAt }) => runAt)).toEqual(["2021-01-01T04:00:00.000Z"]);
  });

  it("that is refused holds up the later ones of its own entry only", async () => {
    const options: { readonly crontab?: string } = await prepare();
    const crontab = `${options.crontab ?? ""}\n0 * * * * other`;
    await using run = await runCronWorker(database, START, {
      ...options,
      crontab,
      hooks: {
        beforeJobSchedule({ task, payload }) {
          const { ts } = (payload as { _cron: { ts: string } })._cron;
          return task === "do_it" && ts.startsWith("2021-01-01T04") ? { action: "fail", message: "no" } : undefined;
        },
      },
    });
    await run.settled();
    // Both hours are due at once.
    await run.advanceTo("2021-01-01T05:00:01Z");
    await run.errors.reach();
    await run.scheduled.reach(2);
    expect(await jobsOf(database, "do_it")).toEqual([]);
    expect(await jobsOf(database, "other")).toHaveLength(2);
  });
});

describe("a schedule that is triggered", () => {
  it("adds a job that is asked about", async () => {
    await client.schedules.upsert({ id: "s", task: "do_it", schedule: "0 * * * *" });
    const asked: unknown[] = [];
    await using other = await createClient({
      driver: database.driver,
      migrate: false,
      logger: silentLogger,
      hooks: { beforeJobSchedule: ({ call }) => void asked.push(call.method) },
    });
    await other.schedules.trigger("s");
    expect(asked).toEqual(["trigger"]);
  });
});
