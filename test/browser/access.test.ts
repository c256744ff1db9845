import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumForTests, useBrowser } from "../harness/browser.ts";
import { settled } from "./settled.ts";
import { clearStage, person, servePage, setStage, type Stage } from "./stage.ts";

const chromium = chromiumForTests();

/** The buttons that change something, as far as they are named. */
const CHANGES = /^(Retry|Reschedule|Cancel|Fail|Complete|Remove|Add again|Pause|Resume|Unlock|Sweep|Add a job)/;

describe.skipIf(chromium === undefined)("who looks at the page", () => {
  const browser = useBrowser(chromium ?? "");
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => clearStage(stage));

  /** The names of the buttons of these views that change something. */
  async function changesOn(url: string, who: Parameters<typeof person>[0], paths: readonly string[], keys = "") {
    const { page } = await browser.visit(url, { credentials: person(who) });
    const names: string[] = [];
    for (const path of paths) {
      await page.goto(url + path);
      await settled(page);
      for (const key of keys) await page.keyboard.press(key);
      // Only after the keys would have done something.
      if (keys !== "") await page.getByRole("button", { name: "Keys" }).click();
      if (keys !== "") await page.getByRole("dialog", { name: "Keys" }).getByRole("button", { name: "Close" }).click();
      if ((await page.getByRole("dialog").count()) > 0) names.push(`a dialog on ${path}`);
      for (const button of await page.getByRole("button", { name: CHANGES }).all()) {
        names.push(((await button.getAttribute("aria-label")) ?? (await button.textContent()) ?? "").replace("…", ""));
      }
    }
    const badge = await page.getByText("read-only", { exact: true }).count();
    return { names, isMarked: badge > 0 };
  }

  const VIEWS = () => [`jobs/${stage.jobs.later}`, "queues/tenant-7", "tasks/send_email", "schedules", "workers"];

  it("who may only read finds no button and no key that changes something", async () => {
    const served = await servePage(stage.database);
    expect(await changesOn(served.url, "bob", VIEWS(), "rcp")).toEqual({ names: [], isMarked: true });
  });

  it("an administrator finds none where the whole page is read-only", async () => {
    const served = await servePage(stage.database, { readOnly: true });
    expect(await changesOn(served.url, "ada", VIEWS(), "rcp")).toEqual({ names: [], isMarked: true });
  });

  it("operators change jobs, administrators unlock and sweep, too: both at the same time", async () => {
    const served = await servePage(stage.database);
    const paths = ["queues/tenant-7", "workers"];
    const [operator, admin] = await Promise.all([
      changesOn(served.url, "grace", paths),
      changesOn(served.url, "ada", paths),
    ]);
    expect(operator.names).toContain("Cancel what runs");
    expect(operator.names.filter((name) => /^(Unlock|Sweep)/.test(name))).toEqual([]);
    expect(admin.names).toEqual(expect.arrayContaining(["Cancel what runs", "Unlock by force", "Sweep"]));
  });

  it("who is limited to a task sees jobs of no other one", async () => {
    const served = await servePage(stage.database);
    const visit = await browser.visit(`${served.url}jobs`, { credentials: person("eve") });
    visit.expected(/status of 40[34]/);
    await settled(visit.page);
    const text = await visit.page.locator("#main table").innerText();
    expect(text).toContain("send_email");
    expect(text).not.toMatch(/charge_card|resize_image|import_csv/);
    await visit.page.goto(`${served.url}jobs/${stage.jobs.failed}`);
    await settled(visit.page);
    expect(await visit.page.locator("#main").innerText()).not.toContain("ECONNREFUSED");
  });

  it("hides what is redacted before it leaves the server", async () => {
    const served = await servePage(stage.database, { redact: ["$.card.number"] });
    const { page } = await browser.visit(`${served.url}jobs/${stage.jobs.behind}`, { credentials: person("ada") });
    await settled(page);
    await page.locator("#main").getByText("[redacted]").first().waitFor();
    expect(await page.content()).not.toContain("4111111111111111");
  });

  it("works behind a base path: its files, links, keys and a reload of any view", async () => {
    const served = await servePage(stage.database, { basePath: "/ops/jobs" });
    const { page } = await browser.visit(served.url, { credentials: person("ada") });
    await settled(page);
    await page
      .getByRole("link", { name: /^Queues/ })
      .first()
      .click();
    await page.getByRole("link", { name: "tenant-7" }).first().click();
    await page.getByRole("heading", { level: 1, name: "tenant-7" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/ops/jobs/queues/tenant-7");
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "tenant-7" }).waitFor();
    await settled(page);
    await page.keyboard.press("g");
    await page.keyboard.press("w");
    await page.waitForURL(`${served.url}workers`);
  });

  it("says plainly that credentials are wrong, without the page", async () => {
    const served = await servePage(stage.database);
    const credentials = { username: "ada", password: "wrong" };
    const { page } = await browser.visit(served.url, { credentials, expected: [/status of 401/] });
    await page.getByText(/^Sign in/).waitFor();
    expect(await page.locator("script").count()).toBe(0);
  });

  it("asks for a token where the server wants one, and for it again when it is wrong", async () => {
    const served = await servePage(stage.database, { token: "a-token-of-the-test" });
    const { page } = await browser.visit(served.url, { expected: [/status of 401/] });
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("The server does not know this token.").waitFor();
    await page.getByLabel("Token").fill("a-token-of-the-test");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await settled(page);
    await page.getByRole("status").getByText("Live").waitFor();
    expect(await page.getByLabel("Token").count()).toBe(0);
  });

  it("says that no job passes a filter, and shows the first one as it comes", async () => {
    const served = await servePage(stage.database);
    const { page } = await browser.visit(`${served.url}jobs?task=first_job`, { credentials: person("ada") });
    await page.getByText(/^There are no jobs/).waitFor();
    await stage.client.addJob("first_job", {});
    await page.getByRole("table", { name: /^Jobs/ }).getByText("first_job").waitFor();
    expect(await page.getByText(/^There are no jobs/).count()).toBe(0);
  });
});
