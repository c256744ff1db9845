import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { chromiumForTests, useBrowser, type VisitOptions } from "../harness/browser.ts";
import { openProxy, type Proxy } from "../harness/proxy.ts";
import { until } from "../harness/until.ts";
import { settled } from "./settled.ts";
import { clearStage, person, type ServedPage, servePage, setStage, type Stage } from "./stage.ts";

const chromium = chromiumForTests();

describe.skipIf(chromium === undefined)("trouble, and what mends it", () => {
  const browser = useBrowser(chromium ?? "");
  let stage: Stage;
  let served: ServedPage;
  let proxy: Proxy;
  beforeAll(async () => {
    stage = await setStage();
    proxy = await openProxy(stage.database.connectionString);
    served = await servePage({ connectionString: proxy.connectionString }, { withTasks: true });
  });
  afterEach(() => proxy.allow());
  afterAll(async () => {
    await proxy.close();
    await clearStage(stage);
  });

  async function open(path: string, options: VisitOptions = {}): Promise<Page> {
    const { page } = await browser.visit(served.url + path, { credentials: person("ada"), ...options });
    await settled(page);
    return page;
  }

  it("keeps what it shows while the database is away, says how old that is, and goes on when it is back", async () => {
    const page = await open("jobs?task=resize_image", { expected: [/status of 50[034]/] });
    const rows = page.locator("#main tbody tr");
    const before = await rows.count();
    proxy.refuse();
    await page
      .getByRole("alert")
      .getByText(/What you see is .* old/)
      .first()
      .waitFor({ timeout: 30_000 });
    expect(await rows.count()).toBe(before);
    proxy.allow();
    await until(async () => (await page.getByText(/What you see is/).count()) === 0, { deadlineMs: 30_000 });
    const { id } = await stage.client.addJob("resize_image", {});
    await page.getByRole("button", { name: "1 newer · show" }).click();
    await page.getByRole("link", { name: id }).waitFor();
  }, 90_000);

  it("says that nothing is known when the database is away from the start, and shows it as it comes", async () => {
    proxy.refuse();
    // What others were answered a moment ago is answered to this visitor, too.
    const { username, password } = person("ada");
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    const ask = () => fetch(`${served.url}api/v1/tasks`, { headers: { authorization } });
    await until(async () => (await ask()).status >= 500, { deadlineMs: 30_000 });
    const visit = await browser.visit(`${served.url}tasks`, {
      credentials: person("ada"),
      expected: [/status of 50[034]/],
    });
    await visit.page.getByText("This is not an empty list: nothing is known.").first().waitFor({ timeout: 30_000 });
    proxy.allow();
    await visit.page.getByRole("table", { name: "Tasks" }).waitFor({ timeout: 45_000 });
    expect(await visit.page.getByText("nothing is known").count()).toBe(0);
  }, 90_000);

  it("unlocks a queue by force, after it said what that breaks", async () => {
    await stage.client.addJob("resize_image", {}, { queueName: "stuck" });
    await stage.database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'gone' where queue_name = 'stuck'",
    );
    const page = await open("queues/stuck");
    await page.getByText(/^Held by gone, which is not registered/).waitFor();
    await page.getByRole("button", { name: "Unlock by force…" }).click();
    const dialog = page.getByRole("dialog", { name: "Unlock queue stuck by force" });
    await dialog.getByText("What this breaks:").waitFor();
    await dialog.getByRole("button", { name: "Unlock it all the same" }).click();
    await page.getByText("The queue stuck is unlocked.").waitFor();
    await page.getByText("Free: its next job can start.").waitFor();
    const [queue] = await stage.database.sql(
      "select locked_by from howdah._private_job_queues where queue_name = 'stuck'",
    );
    expect(queue).toEqual({ locked_by: null });
    const [last] = await stage.database.sql("select who, action, outcome from howdah._howdah_audit order by id desc");
    expect(last).toEqual({ who: "ada", action: "queues.unlock", outcome: "done" });
  });

  it("acts from the sheets of a telephone", async () => {
    const page = await open(`jobs/${stage.jobs.unknown}`, { width: 360 });
    await page.getByRole("button", { name: "Actions…" }).tap();
    const sheet = page.getByRole("dialog", { name: "Actions" });
    await sheet.getByRole("button", { name: "Reschedule…" }).tap();
    await page.getByLabel("Run in, such as").fill("2h");
    await page.getByRole("button", { name: "What would that do?" }).tap();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Reschedule 1 job/ })
      .tap();
    await page.getByRole("button", { name: "Close", exact: true }).last().tap();
    expect(await stage.client.getJob(stage.jobs.unknown)).toMatchObject({ state: "scheduled" });
    await page.getByRole("button", { name: "More" }).tap();
    await page.getByRole("dialog", { name: "Places" }).getByRole("link", { name: "Schedules" }).tap();
    await page.getByRole("heading", { level: 1, name: "Schedules" }).waitFor();
    await page.locator(".help summary").tap();
    await page.getByText("docs/guides/cron.md").waitFor();
    const box = await page.locator(".help .menu-body").boundingBox();
    expect(box && box.x >= 0 && box.x + box.width <= 360).toBe(true);
  });

  it("takes back a retry of a job, and a pause", async () => {
    const page = await open(`jobs/${stage.jobs.failed}`);
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await stage.client.pauseTask("charge_card");
    await dialog.getByRole("button", { name: /^Retry 1 job/ }).click();
    await dialog.getByRole("button", { name: "Undo" }).click();
    await dialog.getByText("Undone of 1 job.").waitFor();
    expect(await stage.client.getJob(stage.jobs.failed)).toMatchObject({ state: "failed", attempts: 1 });

    await page.goto(`${served.url}tasks/charge_card`);
    await page.getByRole("button", { name: "Resume task charge_card" }).click();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("The task charge_card is paused.").waitFor();
    await page.getByRole("button", { name: "Resume task charge_card" }).waitFor();
    expect((await stage.client.listPauses()).tasks.map(({ name }) => name)).toContain("charge_card");
  });

  it("adds a job with what its payload must be, and says what does not fit", async () => {
    const page = await open("tasks/resize_image", { expected: [/status of 400 .*\/jobs/] });
    await page.getByRole("button", { name: "Add a job…" }).click();
    const dialog = page.getByRole("dialog", { name: "Add a job of resize_image" });
    await dialog.getByRole("list", { name: "Members of the payload" }).getByText("whole number").waitFor();
    const payload = dialog.getByRole("textbox", { name: /^Payload/ });
    expect(JSON.parse(await payload.inputValue())).toEqual({ image: "", width: 1 });
    await payload.fill('{"image": "cat.png", "width": "wide"}');
    await dialog.getByRole("button", { name: "Add the job" }).click();
    await dialog
      .getByRole("alert")
      .getByText(/does not fit its schema.*width/)
      .waitFor();
    await payload.fill('{"image": "cat.png", "width": 640}');
    await dialog.getByRole("button", { name: "Add the job" }).click();
    await page.waitForURL(/\/jobs\/\d+$/);
    const added = new URL(page.url()).pathname.split("/").at(-1) ?? "";
    expect((await stage.client.getJob(added))?.payload).toEqual({ image: "cat.png", width: 640 });
  });

  it("goes back through the pages of a list after a reload, and finds what a worker holds", async () => {
    await stage.client.addJobs(Array.from({ length: 120 }, () => ({ identifier: "many" })));
    const page = await open("jobs?task=many");
    const first = async (): Promise<string | null> => page.locator("#main tbody tr").first().getAttribute("data-key");
    const newest = await first();
    for (const place of ["after", "back=first."]) {
      await page.getByRole("button", { name: "Older" }).click();
      await page.waitForURL((url) => url.search.includes(place));
      await settled(page);
    }
    const third = await first();
    await page.reload();
    await settled(page);
    expect(await first()).toBe(third);
    await page.getByRole("button", { name: "Newer" }).click();
    await until(async () => (await first()) !== third);
    await page.getByRole("button", { name: "Newer" }).click();
    await until(async () => (await first()) === newest);

    const holder = (await stage.client.getJob(stage.jobs.running))?.lockedBy ?? "";
    await page.goto(`${served.url}workers/${encodeURIComponent(holder)}`);
    await page.getByRole("link", { name: "All that it holds" }).click();
    await page
      .getByRole("table", { name: /^Jobs: jobs that worker/ })
      .getByText("import_csv")
      .waitFor();
    expect(await page.locator("#main tbody tr").count()).toBe(1);
  });
});
