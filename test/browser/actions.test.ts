import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumForTests, useBrowser } from "../harness/browser.ts";
import { until } from "../harness/until.ts";
import { settled } from "./settled.ts";
import { clearStage, person, type ServedPage, servePage, setStage, type Stage } from "./stage.ts";

const chromium = chromiumForTests();

describe.skipIf(chromium === undefined)("what can be done on the page", () => {
  const browser = useBrowser(chromium ?? "");
  let stage: Stage;
  let served: ServedPage;
  beforeAll(async () => {
    stage = await setStage();
    served = await servePage(stage.database);
  });
  afterAll(() => clearStage(stage));

  /** Opens a view as ada, who may do everything. */
  async function open(path: string): Promise<Page> {
    // Of jobs that are changed, some are gone then.
    const expected = [/status of 404 .*\/(jobs|history)\/\d+(?:\/notes)?$/];
    const { page } = await browser.visit(served.url + path, { credentials: person("ada"), expected });
    await settled(page);
    return page;
  }

  /** A job that waits for a paused task. */
  async function waitingJob(payload: unknown = {}): Promise<string> {
    await stage.client.pauseTask("send_email");
    return (await stage.client.addJob("send_email", payload)).id;
  }

  /** Presses a button of the view, says the rest in the dialog, and confirms what it would do. */
  async function change(page: Page, button: string, sentence: RegExp, fill?: (dialog: Page) => Promise<void>) {
    await page.getByRole("button", { name: button, exact: true }).click();
    if (fill) {
      await fill(page);
      await page.getByRole("button", { name: "What would that do?" }).click();
    }
    await page.getByRole("dialog").getByRole("button", { name: sentence }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).last().click();
  }

  it("spreads failed jobs over a time, with the attempts that were asked for", async () => {
    const page = await open(`jobs/${stage.jobs.failed}`);
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Over some time, or with other attempts…" }).click();
    await dialog.getByLabel(/^Each at a random time within/).fill("2h");
    await dialog.getByLabel("Attempts").fill("3");
    await dialog.getByRole("button", { name: "What would that do?" }).click();
    await dialog.getByRole("button", { name: /^Retry 1 job of 1 task over 2 h/ }).click();
    await until(async () => (await stage.client.getJob(stage.jobs.failed))?.state !== "failed");
    expect(await stage.client.getJob(stage.jobs.failed)).toMatchObject({ attempts: 0, maxAttempts: 3 });
    await dialog.getByRole("button", { name: "Undo", exact: true }).click();
    await until(async () => (await stage.client.getJob(stage.jobs.failed))?.state === "failed");
    expect(await stage.client.getJob(stage.jobs.failed)).toMatchObject({ attempts: 1, maxAttempts: 1 });
  });

  it("walks by keys alone: goes to a task, pauses it, selects what failed of it, and retries that", async () => {
    const page = await open("");
    const press = async (...keys: string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key);
    };
    await press("?");
    await page.getByRole("dialog").getByText("Select the row", { exact: true }).waitFor();
    await press("Escape");
    await press("g", "t");
    await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
    await settled(page);
    await press("/");
    await page.keyboard.type("charge_card");
    await press("Enter");
    await page.getByRole("heading", { level: 1, name: "charge_card" }).waitFor();
    await settled(page);
    await press("p");
    await page.getByRole("dialog", { name: "Pause task charge_card" }).waitFor();
    while ((await focused(page)) !== "Until it is resumed") await press("Tab");
    await press("Enter");
    await page.getByText("No job of it starts until").waitFor();
    expect(JSON.stringify(await stage.client.listPauses())).toContain("charge_card");

    await press("/");
    await page.keyboard.type("task:charge_card state:failed");
    await press("Enter");
    await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
    await page.getByRole("table", { name: /^Jobs/ }).waitFor();
    await press("j", "j", "x");
    await page.getByText("1 job selected").waitFor();
    await press("A", "r");
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Retry 25 jobs/ })
      .waitFor();
    await press("Enter");
    await page
      .getByRole("dialog")
      .getByText(/25 jobs retried/)
      .waitFor();
    await press("Escape");
    const { jobs } = await stage.client.listJobs({ task: "charge_card", state: "ready" });
    expect(jobs).toHaveLength(25);

    await press("g", "a");
    await page.getByRole("heading", { level: 1, name: "Activity" }).waitFor();
    await page.locator("#main").getByText("ada").first().waitFor();
    await press(".");
    await page.getByRole("status").getByText("Paused").waitFor();
    await press("t");
    await page.getByText("Times are relative.").waitFor();
  });

  it("reschedules, fails, retries, cancels, completes and removes a job, each after it has said what that would do", async () => {
    const id = await waitingJob({ to: "ada" });
    const page = await open(`jobs/${id}`);
    const stateOf = async () => (await stage.client.getJob(id))?.state;
    await change(page, "Reschedule…", /^Reschedule 1 job/, async (dialog) => {
      await dialog.getByLabel("Run in, such as").fill("2h");
      await dialog.getByLabel("Priority").fill("7");
    });
    expect(await stage.client.getJob(id)).toMatchObject({ state: "scheduled", priority: 7 });
    await change(page, "Fail…", /^Fail 1 job/, (dialog) => dialog.getByLabel("Reason").fill("not wanted"));
    expect(await stage.client.getJob(id)).toMatchObject({ state: "failed", lastError: "not wanted" });
    await change(page, "Retry", /^Retry 1 job/);
    expect(await stateOf()).toBe("ready");
    await change(page, "Cancel…", /^Cancel 1 job/, (dialog) => dialog.getByLabel("Reason").fill("no"));
    expect(await stateOf()).not.toBe("ready");
    const second = await waitingJob();
    await page.goto(`${served.url}jobs/${second}`);
    await change(page, "Complete…", /^Complete 1 job/);
    await page.getByText(`Job ${second} is not in the table`).waitFor();
    const third = await waitingJob();
    await page.goto(`${served.url}jobs/${third}`);
    await page.getByRole("button", { name: "Remove…" }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save them as a file first" }).click();
    expect((await download).suggestedFilename()).toBe("removed-jobs.ndjson");
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Remove 1 job/ })
      .click();
    await until(async () => (await stage.client.getJob(third)) === undefined);
  });

  it("adds a job again with changes, shows large numbers as they are, and refuses to round one", async () => {
    const [{ id }] = (await stage.database.sql(
      `select id::text from howdah.add_job('resize_image', '{"n": 90071992547409931, "to": "ada"}')`,
    )) as [{ id: string }];
    const visit = await browser.visit(`${served.url}jobs/${id}`, { credentials: person("ada") });
    visit.expected(/status of 400 .*\/jobs$/);
    const { page } = visit;
    await page.getByText("90071992547409931").first().waitFor();
    await page.getByRole("button", { name: "Add again…" }).click();
    const payload = page.getByRole("textbox", { name: /^Payload/ });
    await payload.fill((await payload.inputValue()).replace('"ada"', '"bob"'));
    await page.getByRole("list", { name: "What is different" }).getByText('"bob"').waitFor();
    await page.getByRole("button", { name: "Add the job" }).click();
    await page.getByText(/The number 90071992547409931 of the payload would be rounded/).waitFor();
    await payload.fill('{"n": 7, "to": "bob"}');
    await page.getByRole("button", { name: "Add the job" }).click();
    await page.waitForURL((url) => /\/jobs\/\d+$/.test(url.pathname) && !url.pathname.endsWith(`/${id}`));
    const added = new URL(page.url()).pathname.split("/").at(-1) ?? "";
    expect((await stage.client.getJob(added))?.payload).toEqual({ n: 7, to: "bob" });
  });

  it("pauses a queue for a time, resumes it, and says what unlocking by force breaks before it does that", async () => {
    const page = await open("queues/tenant-7");
    await page.getByRole("button", { name: "Pause queue tenant-7" }).click();
    await page.getByRole("button", { name: "For 15m" }).click();
    await page.locator("#main").getByText("No job of it starts").waitFor();
    const [paused] = (await stage.client.listQueues({ search: "tenant-7" })).queues;
    expect(paused).toMatchObject({ isPaused: true, pausedUntil: expect.any(Date) as Date });
    await page.getByRole("button", { name: "Resume queue tenant-7" }).click();
    await page.getByRole("button", { name: "Pause queue tenant-7" }).waitFor();

    await page.getByRole("button", { name: "Unlock by force…" }).click();
    const dialog = page.getByRole("dialog", { name: "Unlock queue tenant-7 by force" });
    await dialog.getByText("What this breaks:").waitFor();
    await dialog.getByRole("button", { name: "Leave it" }).click();
    expect((await stage.client.getJob(stage.jobs.running))?.state).toBe("running");
  });

  it("cancels what runs in a queue: its worker is told, and the next job runs", async () => {
    await stage.client.resumeTask("send_email");
    const page = await open("queues/tenant-7");
    await change(page, "Cancel what runs…", /^Cancel 1 job/, (dialog) => dialog.getByLabel("Reason").fill("too long"));
    await until(async () => (await stage.client.getJob(stage.jobs.running))?.state !== "running");
    await until(async () => (await stage.client.getJob(stage.jobs.behind)) === undefined);
    await page.getByText("Free: its next job can start.").waitFor();
    await page.getByText("No job waits in this queue.").waitFor();
  });

  it("adds a job of a schedule now, pauses it and resumes it; and sweeps workers, after it said whom", async () => {
    const page = await open("schedules");
    await page.getByRole("button", { name: /Add a job.*nightly-report/ }).click();
    await page.getByText(/^Job \d+ is added\.$/).waitFor();
    const [last] = await stage.database.sql("select who, action from howdah._howdah_audit order by id desc limit 1");
    expect(last).toEqual({ who: "ada", action: "schedules.trigger" });
    await page.getByRole("button", { name: "Pause schedule nightly-report" }).click();
    await page.getByRole("button", { name: "Until it is resumed" }).click();
    await page.getByRole("button", { name: "Resume schedule nightly-report" }).click();
    await page.getByRole("button", { name: "Pause schedule nightly-report" }).waitFor();
    await page.goto(`${served.url}workers`);
    await page.getByRole("button", { name: "Sweep…" }).click();
    await page.getByText("No worker has been silent for long enough.").waitFor();
  });

  it("shows jobs that were added while it is open, and moves no row by itself", async () => {
    const page = await open("jobs?task=resize_image");
    const rows = page.locator("#main tbody tr");
    const [before, first] = [await rows.count(), await rows.first().getAttribute("data-key")];
    await stage.client.addJob("resize_image", {});
    await page.getByRole("button", { name: "1 newer · show" }).waitFor();
    expect(await rows.first().getAttribute("data-key")).toBe(first);
    await page.getByRole("button", { name: "1 newer · show" }).click();
    await until(async () => (await rows.count()) === before + 1);
  });

  it("says what it looked for when no job passes, and takes a wrong condition apart from that", async () => {
    const page = await open("jobs?task=resize_image&queue=nothing");
    await page.getByText(/^There are no jobs/).waitFor();
    await page.getByLabel("Add a condition").fill("age:yesterday");
    await page.keyboard.press("Enter");
    await page.locator("#condition-problem").getByText(/./).waitFor();
    await page.getByRole("button", { name: /^Without queue:nothing/ }).click();
    await page.getByRole("table", { name: /^Jobs/ }).waitFor();
    expect(new URL(page.url()).search).toBe("?task=resize_image");
  });
});

/** The text of what has the focus. */
async function focused(page: Page): Promise<string> {
  return String(await page.evaluate("document.activeElement?.textContent ?? ''"));
}
