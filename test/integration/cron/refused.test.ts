import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { type CronWorker, jobsOf, runCronWorker, ticksOf } from "../../harness/cron.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
const client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(async () => {
  await database.sql("drop function if exists public.refuse() cascade");
  await database.sql(`delete from howdah._private_jobs; delete from howdah._private_known_crontabs;
    delete from howdah._howdah_schedules`);
});

const START = "2021-01-01T00:00:30Z";

/** What happens to a job that is to be stored whose payload says "bad". */
async function poison(body: string): Promise<void> {
  await database.sql(`
    create function public.refuse() returns trigger language plpgsql as $$ begin
      if new.payload::text like '%bad%' then ${body}; end if;
      return new;
    end $$;
    create trigger refuse before insert on howdah._private_jobs for each row execute function public.refuse()`);
}

const raise = (state: string) => `raise exception 'no' using errcode = '${state}'`;
const mend = () => database.sql("drop function public.refuse() cascade");

/** Entries of each kind: one whose jobs are refused, and two others. */
const SOURCES = {
  async crontab(): Promise<CronWorker> {
    const crontab = "* * * * * good\n* * * * * bad ?id=bad {bad: 'bad'}\n* * * * * fine";
    const run = await runCronWorker(database, START, { crontab });
    await until(async () => (await decided("crontab")).length === 3);
    return run;
  },
  async schedule(): Promise<CronWorker> {
    for (const id of ["good", "bad", "fine"]) {
      const payload = id === "bad" ? { bad: "bad" } : {};
      await client.schedules.upsert({ id, task: id, schedule: "* * * * *", payload });
    }
    await database.sql("update howdah._howdah_schedules set since = '2021-01-01T00:00:30Z'");
    return runCronWorker(database, START, {});
  },
};

/** How far the ledger says that each entry has come. */
async function decided(source: keyof typeof SOURCES): Promise<[string, string | undefined][]> {
  const rows = await database.sql(
    source === "crontab"
      ? "select identifier as id, last_execution as at from howdah._private_known_crontabs order by 1"
      : "select id, last_tick as at from howdah._howdah_schedules order by 1",
  );
  return rows.map(({ id, at }) => [String(id), (at as Date | null)?.toISOString().slice(11, 16)]);
}

const minutes = async (task: string) => (await ticksOf(database, task)).map((ts) => ts.slice(11, 16));
const told = ({ errors }: CronWorker, source: string) =>
  errors.events.filter(({ activity }) => activity.includes(`of ${source} ent`));

describe.each(["crontab", "schedule"] as const)("an entry of a %s whose job is refused", (source) => {
  it.each(["P0001", "40001", "40P01", "55P03", "57014", "53100", "25006", "08006"])(
    "%s: holds up no other, is told once, and is made up for when that is over",
    async (state) => {
      await poison(raise(state));
      await using run = await SOURCES[source]();
      await run.settled();
      for (const minute of ["01", "02", "03"]) {
        await run.advanceTo(`2021-01-01T00:${minute}:02Z`);
        await until(async () => {
          // What looks like a lost connection is tried twice more first.
          if (state === "08006") await run.clock.advance(100);
          return (await minutes("fine")).includes(`00:${minute}`);
        });
        await run.settled();
      }
      expect(await minutes("good")).toEqual(["00:01", "00:02", "00:03"]);
      expect(await minutes("bad")).toEqual([]);
      expect(await decided(source)).toEqual([
        ["bad", undefined],
        ["fine", "00:03"],
        ["good", "00:03"],
      ]);
      expect(told(run, source)).toMatchObject([{ activity: `add a job of ${source} entry "bad"` }]);
      await mend();
      await until(async () => {
        await run.clock.advance(1_000);
        return (await minutes("bad")).length >= 3;
      });
      expect((await minutes("bad")).slice(0, 3)).toEqual(["00:01", "00:02", "00:03"]);
      expect((await jobsOf(database, "bad"))[0]?.payload._cron.backfilled).toBe(false);
    },
  );

  it("is told in one line with others that are refused for the same reason", async () => {
    await poison("null; end if; if true then raise exception 'nothing at all'");
    await using run = await SOURCES[source]();
    await run.settled();
    await run.advanceTo("2021-01-01T00:01:02Z");
    await run.errors.reach();
    await run.settled();
    const ids = source === "crontab" ? '"good", "bad", "fine"' : '"bad", "fine", "good"';
    expect(told(run, source)).toMatchObject([{ activity: `add jobs of ${source} entries ${ids}` }]);
  });
});

describe.each(["crontab", "schedule"] as const)("an entry of a %s whose job a trigger drops", (source) => {
  it("is told once, its ticks count as done, and the others go on", async () => {
    await poison("return null");
    await using run = await SOURCES[source]();
    await run.settled();
    for (const minute of ["01", "02", "03"]) {
      await run.advanceTo(`2021-01-01T00:${minute}:02Z`);
      await until(async () => (await decided(source)).every(([, at]) => at === `00:${minute}`));
      await run.settled();
    }
    expect(await minutes("good")).toEqual(["00:01", "00:02", "00:03"]);
    expect(await minutes("bad")).toEqual([]);
    expect(told(run, source)).toMatchObject([
      {
        activity: `add a job of ${source} entry "bad"`,
        error: { code: "HOWDAH_JOB_DROPPED", message: expect.stringContaining("2021-01-01T00:01:00.000Z") as string },
      },
    ]);
    expect(run.scheduled.events.map(({ crontab: { id } }) => id)).not.toContain("bad");
    await mend();
    await run.advanceTo("2021-01-01T00:04:02Z");
    await until(async () => (await minutes("bad")).length > 0);
    expect(await minutes("bad")).toEqual(["00:04"]);
  });
});

it("a tick with a job key that a trigger drops counts as done, too", async () => {
  await poison("return null");
  const crontab = "* * * * * bad ?jobKey=k {bad: 'bad'}";
  await using run = await runCronWorker(database, START, { crontab });
  await until(async () => (await decided("crontab")).length === 1);
  await run.advanceTo("2021-01-01T00:01:02Z");
  const { error } = await run.errors.reach();
  expect(error).toMatchObject({ code: "HOWDAH_JOB_DROPPED" });
  expect(await decided("crontab")).toEqual([["bad", "00:01"]]);
});

it("what interceptors are told of a tick that a trigger drops is that it was dropped", async () => {
  await poison("return null");
  const ends: unknown[] = [];
  const crontab = "* * * * * bad {bad: 'bad'}";
  await using run = await runCronWorker(database, START, {
    crontab,
    hooks: {
      beforeJobSchedule: ({ call }) => {
        call.whenEnded((end) => ends.push(end));
      },
    },
  });
  await until(async () => (await decided("crontab")).length === 1);
  await run.advanceTo("2021-01-01T00:01:02Z");
  await run.errors.reach();
  await until(() => ends.length > 0);
  expect(ends).toMatchObject([{ error: { code: "HOWDAH_JOB_DROPPED" } }]);
});
