import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { type Notes, writeNotes } from "../../../src/postgres/queries/job-notes.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase({ schema: `Odd "name's` });
const client = clientOver({ ...database, logger: silentLogger });
const target = { executor: database.driver, schema: database.schema };
const table = (name: string) => database.schema.of(name);
afterAll(() => database.drop());
beforeEach(() =>
  database.sql(`
    truncate ${table("_private_jobs")}, ${table("_howdah_progress")}, ${table("_howdah_job_logs")};
    update ${table("_howdah_notes_sweep")} set progress_after = 0, logs_after = 0, next_at = 'epoch'`),
);

const NONE: Notes = { progress: [], lines: [], full: [], done: [] };
const write = (notes: Partial<Notes>) => writeNotes(target, { ...NONE, ...notes }, 5_000);
const line = (jobId: string, number: number, at = number) => ({
  jobId,
  at: String(1_767_225_600_000_000 + at),
  number,
  attempt: 1,
  message: `"line" \\ {${number}}, ü`,
  fields: number % 2 === 0 ? `{"n":${number}}` : null,
});

/** Adds jobs, locked by `w` at this microsecond. */
async function addLocked(count: number, lockedAt = "1767225600000000"): Promise<string[]> {
  const jobs = await client.addJobs(
    Array.from({ length: count }, () => ({ identifier: "t" })),
    { returning: "ids" },
  );
  await database.sql(
    `update ${table("_private_jobs")} set attempts = 1, locked_by = 'w', locked_at = ${table("_howdah_at")}($1::bigint)`,
    [lockedAt],
  );
  return jobs.map(({ id }) => id);
}

const progressOf = (jobId: string, value: string, claimedAt = "1767225600000000", workerId = "w") => ({
  jobId,
  workerId,
  claimedAt,
  value,
});

const stored = async () =>
  (await database.sql(`select job_id::text as id, value from ${table("_howdah_progress")} order by job_id`)).map(
    ({ id, value }) => [id, value],
  );

describe("progress", () => {
  it("is written where the row is locked by this worker under this claim, and nowhere else", async () => {
    const [a, b, c, d] = (await addLocked(4)) as [string, string, string, string];
    await database.sql(`update ${table("_private_jobs")} set locked_by = 'other' where id = $1`, [b]);
    await database.sql(`update ${table("_private_jobs")} set locked_by = null, locked_at = null where id = $1`, [c]);
    const renewed = "1767225600000001";
    await write({
      progress: [
        progressOf(d, "4", renewed),
        progressOf(c, "3"),
        progressOf(b, "2"),
        progressOf(a, '{"half":"ü \\u0000"}', renewed),
        progressOf(a, '{"half":"ü \\u0000"}'),
        progressOf("999999", "9"),
      ],
    });
    expect(await database.sql(`select job_id::text as id, value::text from ${table("_howdah_progress")}`)).toEqual([
      { id: a, value: '{"half":"ü \\u0000"}' },
    ]);
    await write({ progress: [progressOf(a, "2")] });
    expect(await stored()).toEqual([[a, 2]]);
  });

  it("is no reason for the planner to read all jobs, whatever it believes", async () => {
    const ids = await addLocked(3_000);
    await database.sql(`analyze ${table("_private_jobs")}`);
    const scans = await database.driver.transaction(async (executor) => {
      const count = async (): Promise<number> => {
        const text = `select sum(seq_scan) from pg_stat_xact_user_tables
          where relname = any ('{_private_jobs,_howdah_progress,_howdah_job_logs}')`;
        return Number((await executor.query({ text })).rows[0]?.[0]);
      };
      const before = await count();
      await writeNotes(
        { ...target, executor },
        {
          progress: ids.slice(0, 1_000).map((id) => progressOf(id, "1")),
          lines: ids.slice(0, 1_000).map((id) => line(id, 1)),
          full: ids.slice(0, 1_000).map((jobId) => ({ jobId, kept: 5 })),
          done: ids.slice(0, 10),
        },
        5_000,
      );
      await executor.query({ text: `select ${table("_howdah_sweep_notes_v1")}()` });
      return (await count()) - before;
    });
    expect(scans).toBe(0);
    expect(await stored()).toHaveLength(1_000);
  });
});

describe("lines", () => {
  it("are stored once, also when they are sent again, and read in the order of time", async () => {
    const [id] = (await addLocked(1)) as [string];
    await write({ lines: [line(id, 1), line(id, 3), line(id, 2)] });
    await write({ lines: [line(id, 2), line(id, 4)] });
    const lines = await client.listJobLogs(id);
    expect(lines.map(({ message }) => message)).toEqual([1, 2, 3, 4].map((n) => `"line" \\ {${n}}, ü`));
    expect(lines.map(({ fields }) => fields)).toEqual([null, { n: 2 }, null, { n: 4 }]);
    expect(lines[0]?.at).toEqual(new Date("2026-01-01T00:00:00.000Z"));
    expect((await client.listJobLogs(id, { limit: 1 })).map(({ fields }) => fields)).toEqual([{ n: 4 }]);
  });

  it("are trimmed to the newest of a job, and those of a job that is gone are not stored", async () => {
    const [a, b] = (await addLocked(2)) as [string, string];
    const many = Array.from({ length: 20 }, (_, n) => line(a, n));
    await write({ lines: [...many, line(b, 1), line("999999", 1)], full: [a, b].map((jobId) => ({ jobId, kept: 5 })) });
    expect((await client.listJobLogs(a)).map(({ fields }) => fields)).toEqual([null, { n: 16 }, null, { n: 18 }, null]);
    expect(await client.listJobLogs(b)).toHaveLength(1);
    expect(await client.listJobLogs("999999")).toEqual([]);
  });

  it("are refused to who asks for none that can be", async () => {
    await expect(client.listJobLogs("x")).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(client.listJobLogs("1", { limit: 0 })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});

describe("the notes of a job that is gone", () => {
  it("go when its worker says that it is done, unless it is not", async () => {
    const [a, b] = (await addLocked(2)) as [string, string];
    await write({ progress: [progressOf(a, "1"), progressOf(b, "1")], lines: [line(a, 1), line(b, 1)] });
    await database.sql(`delete from ${table("_private_jobs")} where id = $1`, [a]);
    await write({ done: [a, b] });
    expect(await stored()).toEqual([[b, 1]]);
    expect(await client.listJobLogs(a)).toEqual([]);
    expect(await client.listJobLogs(b)).toHaveLength(1);
  });

  it("are found by a sweep, some rows at a time, which then rests", async () => {
    const sweep = () => database.sql(`select ${table("_howdah_sweep_notes_v1")}(100)`);
    const left = async () => {
      const [row] = await database.sql(
        `select (select count(*)::int from ${table("_howdah_progress")}) as progress,
           (select count(*)::int from ${table("_howdah_job_logs")}) as lines`,
      );
      return [row?.["progress"], row?.["lines"]];
    };
    const ids = await addLocked(450);
    await write({
      progress: ids.map((id) => progressOf(id, "1")),
      lines: ids.flatMap((id) => [line(id, 1), line(id, 2)]),
    });
    await database.sql(`delete from ${table("_private_jobs")} where id % 3 <> 0`);
    await sweep();
    const [progress, lines] = await left();
    expect([progress < 450 && progress >= 350, lines < 900 && lines >= 700]).toEqual([true, true]);
    for (let n = 0; n < 12; n++) await sweep();
    expect(await left()).toEqual([150, 300]);
    // It rests now, unless the clock of the server was set back.
    await database.sql(`delete from ${table("_private_jobs")}`);
    await sweep();
    expect(await left()).toEqual([150, 300]);
    await database.sql(`update ${table("_howdah_notes_sweep")} set next_at = now() + interval '2 hours'`);
    for (let n = 0; n < 4; n++) await sweep();
    expect(await left()).toEqual([0, 0]);
  });

  it("are swept by one caller at a time, and the others do not wait for it", async () => {
    const [id] = (await addLocked(1)) as [string];
    await write({ progress: [progressOf(id, "1")] });
    await database.sql(`delete from ${table("_private_jobs")}`);
    const session = await database.connect();
    await session.query(`begin; select from ${table("_howdah_notes_sweep")} for update`);
    await database.sql(`select ${table("_howdah_sweep_notes_v1")}()`);
    expect(await stored()).toEqual([[id, 1]]);
    await session.query("rollback");
    await session.end();
    await database.sql(`select ${table("_howdah_sweep_notes_v1")}()`);
    expect(await stored()).toEqual([]);
  });
});
