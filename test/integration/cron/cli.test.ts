import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "howdah-crontab-"));
const database = await createDatabase();
const client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
const [good, bad] = [join(folder, "good"), join(folder, "bad")];

beforeAll(async () => {
  await writeFile(
    good,
    "# backups\n0 4 * * * back_up ?tz=Europe/Berlin&fill=1d\n0 0 1 1 * celebrate ?id=new_year {year: 1}\n",
  );
  await writeFile(bad, "0 4 * * * back_up\n0 25 * * * x\n* * * *\n");
});
afterAll(async () => {
  await client.close();
  await database.drop();
  await rm(folder, { recursive: true });
});

async function howdah(...args: string[]): Promise<{ code: number | null; out: string; error: string }> {
  const env = { ...process.env, DATABASE_URL: database.connectionString, HOWDAH_SCHEMA: undefined };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode, out, error };
}

describe("howdah cron check", () => {
  it("shows the entries of a crontab", async () => {
    const { code, out, error } = await howdah("cron", "check", good);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out).toMatch(
      /^ID\tTASK\tSCHEDULE\tZONE\tFILL\tNEXT\nback_up\tback_up\t0 4 \* \* \*\tEurope\/Berlin\t1d\t\d{4}-\S+Z\n/,
    );
    expect(out).toContain("new_year");
  });

  it("says where every mistake is, and fails", async () => {
    const { code, out, error } = await howdah("cron", "check", bad);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(error.split("\n")).toEqual([
      `${bad}:2:3: 25 is out of range for the hours; expected 0 to 23.`,
      `${bad}:3:8: expected 5 fields and a task, found 4 words.`,
      `howdah: HOWDAH_CRON_INVALID: There are 2 problems in ${bad}.`,
      "",
    ]);
  });

  it("prints JSON for scripts", async () => {
    const valid = await howdah("cron", "check", good, "--json");
    expect(JSON.parse(valid.out)).toMatchObject({
      entries: [{ id: "back_up" }, { id: "new_year", payload: { year: 1 } }],
      problems: [],
    });
    const invalid = await howdah("cron", "check", bad, "--json");
    expect([invalid.code, JSON.parse(invalid.out).problems[0]]).toEqual([
      1,
      { line: 2, column: 3, message: "25 is out of range for the hours; expected 0 to 23." },
    ]);
  });

  it("says so when the file cannot be read", async () => {
    const { code, error } = await howdah("cron", "check", join(folder, "none"));
    expect([code, error]).toEqual([1, expect.stringContaining("cannot be read: ENOENT")]);
  });
});

describe("howdah cron next", () => {
  it("shows when an expression is due, in UTC and as clocks there show it", async () => {
    const { code, out } = await howdah("cron", "next", "0 12 1 1 *", "--time-zone", "Asia/Tokyo", "-n", "2");
    expect(code).toBe(0);
    const [title, ...lines] = out.trimEnd().split("\n");
    expect(title).toBe("0 12 1 1 *  Asia/Tokyo");
    expect(lines).toHaveLength(2);
    for (const line of lines)
      expect(line).toMatch(/^ {2}\d{4}-01-01T03:00:00\.000Z {2}\w{3}, 01\/01\/\d{4}, 12:00:00 GMT\+9 {2}in \d+ \w+$/);
  });

  it("shows when each entry of a crontab is due", async () => {
    const { out } = await howdah("cron", "next", good, "-n", "3", "--json");
    const entries = JSON.parse(out) as { id: string; next: string[] }[];
    expect(entries.map(({ id, next }) => [id, next.length])).toEqual([
      ["back_up", 3],
      ["new_year", 3],
    ]);
    expect((await howdah("cron", "next", good)).out.match(/Z {2}/g)).toHaveLength(10);
  });

  it("refuses what it does not understand", async () => {
    expect(await howdah("cron", "next", "0 99 * * *")).toMatchObject({
      code: 1,
      error: expect.stringContaining("Column 3"),
    });
    expect(await howdah("cron", "next", bad)).toMatchObject({ code: 1, error: expect.stringContaining(`${bad}:2:3`) });
    expect(await howdah("cron", "nxt", good)).toMatchObject({ code: 2 });
    expect(await howdah("cron", "next", "* * * * *", "-n", "0")).toMatchObject({ code: 2 });
  });
});

describe("howdah schedules", () => {
  it("lists, pauses, resumes and triggers", async () => {
    expect((await howdah("schedules", "list")).out).toBe("ID\tTASK\tSCHEDULE\tZONE\tLAST\tNEXT\tSTATE\n");
    await client.schedules.upsert({ id: "nightly", task: "back_up", schedule: "0 0 1 1 *", payload: { a: 1 } });
    const listed = await howdah("schedules", "list");
    expect(listed.out).toMatch(
      /^ID\t.*\nnightly\tback_up\t0 0 1 1 \*\tUTC\t\t\d{4}-01-01T00:00:00.000Z\tno worker knows the task\n$/,
    );
    expect((await howdah("schedules", "pause", "nightly")).out).toBe("Paused until it is resumed.\n");
    expect((await howdah("schedules", "list", "--json")).out).toContain('"isPaused": true');
    expect((await howdah("schedules", "pause", "nightly", "--until", "2999-01-01T00:00:00Z")).out).toBe(
      "Paused until 2999-01-01T00:00:00.000Z.\n",
    );
    expect((await howdah("schedules", "resume", "nightly")).out).toMatch(
      /^Resumed; next at \d{4}-01-01T00:00:00\.000Z\.\n$/,
    );
    expect((await howdah("schedules", "trigger", "nightly")).out).toMatch(/^Added job \d+ of task back_up\.\n$/);
    const { jobs } = await client.listJobs({ task: "back_up" });
    expect(jobs.map(({ payload }) => payload)).toEqual([
      { a: 1, _cron: expect.objectContaining({ backfilled: false }) },
    ]);
  });

  it("refuses what it does not understand", async () => {
    expect(await howdah("schedules", "pause", "nope")).toMatchObject({
      code: 1,
      error: expect.stringContaining("HOWDAH_SCHEDULE_UNKNOWN"),
    });
    expect(await howdah("schedules", "delete", "x")).toMatchObject({ code: 2 });
    expect(await howdah("schedules", "pause")).toMatchObject({ code: 2 });
    expect(await howdah("schedules", "list", "--until", "2999-01-01")).toMatchObject({ code: 2 });
  });
});
