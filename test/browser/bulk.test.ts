import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/embedded/free-port.ts";
import { chromiumForTests, useBrowser } from "../harness/browser.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { until } from "../harness/until.ts";
import { settled } from "./settled.ts";
import { person, servePage } from "./stage.ts";

const chromium = chromiumForTests();

/** `check:full` takes half a million. */
const JOBS = Number(process.env["HOWDAH_BULK_JOBS"] ?? 8_000);

/** As the page writes it. */
const ALL = JOBS.toLocaleString("en");

/** A preview counts up to 100,000. */
const FOUND = Math.min(JOBS, 100_000);
const FOUND_WORDS = FOUND.toLocaleString("en");

/** How long it may take to change all of them. */
const ALL_MS = 30_000 + JOBS;

const ADD = `select count(*) from howdah.add_jobs(array(
  select json_populate_record(null::howdah.job_spec, '{"identifier": "charge_card", "max_attempts": 1}')
  from generate_series(1, $1::int)
))`;

/** How many are added by one statement. */
const CHUNK = 20_000;

/** Makes each batch of an operation take its time, so that there is something to pause. */
const SLOW_BATCHES = `
  create function public.take_time() returns trigger language plpgsql as 'begin perform pg_sleep(0.2); return null; end';
  create trigger take_time before update on howdah._private_jobs for each statement execute function public.take_time();`;

describe.skipIf(chromium === undefined)(
  "a change of thousands of jobs",
  () => {
    const browser = useBrowser(chromium ?? "");
    let database: TestDatabase;
    beforeAll(async () => {
      database = await createDatabase();
    });
    afterAll(() => database.drop());

    /** Makes failed jobs anew. */
    async function failJobs(): Promise<void> {
      await database.sql("drop function if exists public.take_time() cascade");
      await database.sql("truncate howdah._private_jobs");
      await addFailed(JOBS);
      await database.sql("vacuum (analyze) howdah._private_jobs");
      await database.sql(SLOW_BATCHES);
    }

    /** Adds jobs that have failed, as a worker would have left them. */
    async function addFailed(count: number): Promise<void> {
      const [newest] = await database.sql("select coalesce(max(id), 0) as id from howdah._private_jobs");
      for (let left = count; left > 0; left -= CHUNK) await database.sql(ADD, [Math.min(left, CHUNK)]);
      await database.sql(
        "update howdah._private_jobs set attempts = 1, last_error = 'ECONNREFUSED' where attempts = 0 and id > $1",
        [newest?.["id"]],
      );
    }

    async function retried(): Promise<number> {
      const [row] = await database.sql("select count(*) from howdah._private_jobs where attempts = 0");
      return Number(row?.["count"]);
    }

    /** Looks at a retry of all that failed, types the number, and begins it. */
    async function begin(url: string): Promise<Page> {
      const visit = await browser.visit(`${url}jobs?state=failed`, { credentials: person("ada") });
      const { page } = visit;
      visit.expected(/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET/);
      await settled(page);
      await page.getByRole("button", { name: "Select everything that passes the filter" }).click();
      await page.getByRole("button", { name: "Retry", exact: true }).click();
      const start = page
        .getByRole("dialog")
        .getByRole("button", { name: new RegExp(`^Retry (more than )?${FOUND_WORDS} jobs`) });
      await start.waitFor();
      expect(await start.isDisabled()).toBe(true);
      await page.getByLabel(`Type ${FOUND_WORDS} to go on`).fill(String(FOUND));
      await start.click();
      await page.getByRole("link", { name: /^Open operation/ }).click();
      await page.locator("#main").getByText("Under way.").waitFor();
      await until(async () => (await retried()) > 0);
      return page;
    }

    /** Lets it go on without the delay, and waits for its end. */
    async function finish(page: Page): Promise<void> {
      await database.sql("drop function public.take_time() cascade");
      await page.getByRole("button", { name: "Go on" }).click();
      await page.getByText(/^Done after/).waitFor({ timeout: ALL_MS });
      process.stdout.write(`${await page.locator("#main").getByRole("status").first().innerText()}\n`);
      await page.getByText(`${ALL} jobs retried`).waitFor();
    }

    it("is looked at first, makes progress, can be paused, goes on, and touches no job that was added meanwhile", async () => {
      await failJobs();
      const { url } = await servePage(database);
      const page = await begin(url);
      await page.getByRole("button", { name: "Pause", exact: true }).click();
      await page.getByRole("status").getByText("Paused.").waitFor();
      const paused = await retried();
      await database.sql("select pg_sleep(1)");
      expect(await retried()).toBe(paused);
      expect(paused).toBeLessThan(JOBS);
      await addFailed(100);
      await finish(page);
      expect(await retried()).toBe(JOBS);
    });

    it("can be stopped for good: what was done stays done", async () => {
      await failJobs();
      const { url } = await servePage(database);
      const page = await begin(url);
      await page.getByRole("button", { name: "Stop for good" }).click();
      await page.getByText(/^Stopped after/).waitFor();
      const done = await retried();
      expect(done).toBeLessThan(JOBS);
      await page.goto(`${url}operations`);
      await settled(page);
      await page
        .locator("#main")
        .getByText(/stopped/i)
        .first()
        .waitFor();
      expect(await retried()).toBe(done);
    });

    it("says where it stands when its process was killed, and goes on where it was", async () => {
      await failJobs();
      const port = await freePort();
      const killed = await servePage(database, { port });
      const page = await begin(killed.url);
      killed.process.kill("SIGKILL");
      await killed.process.ended;
      await page.getByRole("status").getByText("Not connected").waitFor();
      await page
        .locator("#main")
        .getByText(/jobs? retried/)
        .waitFor();
      const done = await retried();
      expect(done).toBeGreaterThan(0);
      expect(done).toBeLessThan(JOBS);
      // What half a minute without a batch makes of it.
      await database.sql("update howdah._howdah_operations set updated_at = updated_at - interval '1 minute'");
      await servePage(database, { port });
      await page.getByText("Stalled: no process carries it out.").waitFor({ timeout: 60_000 });
      expect(await retried()).toBe(done);
      await finish(page);
      expect(await retried()).toBe(JOBS);
    });
  },
  300_000 + 3 * JOBS,
);
