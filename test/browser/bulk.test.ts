import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/embedded/free-port.ts";
import { chromiumForTests, useBrowser } from "../harness/browser.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { until } from "../harness/until.ts";
import { settled } from "./settled.ts";
import { person, servePage } from "./stage.ts";

const chromium = chromiumForTests();

const JOBS = 8_000;

/** Makes each batch of an operation take its time, so that there is something to pause. */
const SLOW_BATCHES = `
  create function public.take_time() returns trigger language plpgsql as 'begin perform pg_sleep(0.2); return null; end';
  create trigger take_time before update on howdah._private_jobs for each statement execute function public.take_time();`;

describe.skipIf(chromium === undefined)("a change of thousands of jobs", () => {
  const browser = useBrowser(chromium ?? "");
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  /** Makes failed jobs anew. */
  async function failJobs(): Promise<void> {
    await database.sql("drop trigger if exists take_time on howdah._private_jobs");
    await database.sql("drop function if exists public.take_time()");
    await database.sql("delete from howdah._private_jobs");
    await addFailed(JOBS);
    await database.sql("analyze howdah._private_jobs");
    await database.sql(SLOW_BATCHES);
  }

  async function addFailed(count: number): Promise<void> {
    await database.sql(
      `select howdah.add_job('charge_card', json_build_object('n', n), max_attempts => 1) from generate_series(1, $1::int) as n`,
      [count],
    );
    await database.sql(`update howdah._private_jobs set attempts = 1, last_error = 'ECONNREFUSED' where attempts = 0`);
  }

  const waiting = async (): Promise<number> =>
    Number((await database.sql("select count(*) from howdah._private_jobs where attempts = 0"))[0]?.["count"]);

  /** Looks at a retry of all that failed, types the number, and begins it. */
  async function begin(url: string): Promise<Page> {
    const visit = await browser.visit(`${url}jobs?state=failed`, { credentials: person("ada") });
    const { page } = visit;
    visit.expected(/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET/);
    await settled(page);
    await page.getByRole("button", { name: "Select everything that passes the filter" }).click();
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    const start = page.getByRole("dialog").getByRole("button", { name: /^Retry 8,000 jobs/ });
    await start.waitFor();
    expect(await start.isDisabled()).toBe(true);
    await page.getByLabel("Type 8,000 to go on").fill("8000");
    await start.click();
    await page.getByRole("link", { name: /^Open operation/ }).click();
    await page.getByRole("heading", { level: 1, name: /^Operation/ }).waitFor();
    return page;
  }

  it("is looked at first, makes progress, can be paused, goes on, and touches no job that was added meanwhile", async () => {
    await failJobs();
    const { url } = await servePage(database);
    const page = await begin(url);
    await page.getByText("Under way.").waitFor();
    await until(async () => (await waiting()) > 0);
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await page.getByRole("status").getByText("Paused.").waitFor();
    await until(async () => {
      const before = await waiting();
      await database.sql("select pg_sleep(0.5)");
      return before === (await waiting());
    });
    const paused = await waiting();
    expect(paused).toBeGreaterThan(0);
    expect(paused).toBeLessThan(JOBS);
    await database.sql("drop trigger take_time on howdah._private_jobs");
    await addFailedAgain(100);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText(`8,000 jobs retried`).waitFor();
    await page.getByText(/^Done after/).waitFor();
    expect(await waiting()).toBe(JOBS);
  });

  /** Jobs that failed after the operation had begun. */
  async function addFailedAgain(count: number): Promise<void> {
    await database.sql(
      `with added as (
         select id from howdah.add_jobs(array(
           select json_populate_record(null::howdah.job_spec, json_build_object('identifier', 'charge_card', 'max_attempts', 1))
           from generate_series(1, $1::int)
         ))
       ) select count(*) from added`,
      [count],
    );
    await database.sql(
      `update howdah._private_jobs set attempts = 1, last_error = 'ECONNREFUSED'
       where id in (select id from howdah._private_jobs order by id desc limit $1)`,
      [count],
    );
  }

  it("can be stopped for good: what was done stays done", async () => {
    await failJobs();
    const { url } = await servePage(database);
    const page = await begin(url);
    await until(async () => (await waiting()) > 0);
    await page.getByRole("button", { name: "Stop for good" }).click();
    await page.getByText(/^Stopped after/).waitFor();
    const done = await waiting();
    expect(done).toBeLessThan(JOBS);
    await page.goto(`${url}operations`);
    await settled(page);
    await page
      .locator("#main")
      .getByText(/stopped/i)
      .first()
      .waitFor();
    expect(await waiting()).toBe(done);
  });

  it("says where it stands when its process was killed, and goes on where it was", async () => {
    await failJobs();
    const port = await freePort();
    const killed = await servePage(database, { port });
    const page = await begin(killed.url);
    await page
      .locator("#main")
      .getByText(/Under way\./)
      .waitFor();
    await until(async () => (await waiting()) > 0);
    killed.process.kill("SIGKILL");
    await killed.process.ended;
    await page.getByRole("status").getByText("Not connected").waitFor();
    await page
      .locator("#main")
      .getByText(/jobs retried/)
      .waitFor();
    const done = await waiting();
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(JOBS);
    // What half a minute without a batch makes of it.
    await database.sql("update howdah._howdah_operations set updated_at = updated_at - interval '1 minute'");
    await servePage(database, { port });
    await page.getByText("Stalled: no process carries it out.").waitFor({ timeout: 40_000 });
    await database.sql("drop trigger take_time on howdah._private_jobs");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText(/^Done after/).waitFor();
    await page.getByText(`8,000 jobs retried`).waitFor();
    expect(await waiting()).toBe(JOBS);
  }, 120_000);
});
