import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../docs/project-tree.ts";
import { axeFindings, chromiumForTests, excessWidth, useBrowser } from "../harness/browser.ts";
import { settled } from "./settled.ts";
import { clearStage, person, type ServedPage, servePage, setStage, type Stage } from "./stage.ts";

const chromium = chromiumForTests();

/** What was seen last, for those who want to look. */
const PICTURES = join(ROOT, ".cache/browser");

/** Each view, and a text that it shows of the stage. */
const VIEWS: Readonly<Record<string, (stage: Stage) => readonly [path: string, text: string]>> = {
  overview: () => ["", "resize_image"],
  jobs: () => ["jobs", "import_csv"],
  "jobs-failed": () => ["jobs?state=failed", "ECONNREFUSED"],
  "jobs-none": () => ["jobs?task=nothing", "nothing"],
  job: ({ jobs }) => [`jobs/${jobs.behind}`, "tenant-7"],
  "job-failed": ({ jobs }) => [`jobs/${jobs.failed}`, "ECONNREFUSED"],
  "job-finished": ({ jobs }) => [`jobs/${jobs.finished}`, "messageId"],
  history: () => ["history", "welcome"],
  "history-none": () => ["history?task=nothing", "No such job is kept."],
  "job-gone": () => ["jobs/99999999", "99999999"],
  queues: () => ["queues", "newsletter"],
  queue: () => ["queues/tenant-7", "import_csv"],
  "queue-ruled": () => ["queues/crm%3Aacme", "Open: its next job can start."],
  "queue-paused": () => ["queues/newsletter", "newsletter"],
  tasks: () => ["tasks", "charge_card"],
  task: () => ["tasks/charge_card", "charge_card"],
  "task-unknown": () => ["tasks/resize_image", "resize_image"],
  workers: () => ["workers", "alive"],
  schedules: () => ["schedules", "nightly-report"],
  health: () => ["health", "resize_image"],
  activity: () => ["activity", "Activity"],
  operations: () => ["operations", "Operations"],
};

describe.skipIf(chromium === undefined)("the page", () => {
  const browser = useBrowser(chromium ?? "");
  let stage: Stage;
  let served: ServedPage;
  beforeAll(async () => {
    stage = await setStage();
    await stage.client.setQueuePool("crm-api", { concurrency: 50 });
    const rate = { limit: 100, per: "1m", burst: 20 } as const;
    await stage.client.setQueueRules("crm:*", { concurrency: 5, rate, share: 3, pool: "crm-api" });
    await stage.client.addJob("send_email", {}, { queueName: "crm:acme", runIn: "7d" });
    served = await servePage(stage.database);
  });
  afterAll(() => clearStage(stage));

  it.each([
    { theme: "light", width: 1280 },
    { theme: "dark", width: 1280 },
    { theme: "light", width: 360 },
    { theme: "dark", width: 360 },
  ] as const)(
    "shows each view, fits, and gives axe-core nothing to find: $theme, $width px",
    async (look) => {
      const visit = await browser.visit(served.url, { ...look, credentials: person("ada") });
      // Those of the jobs that are gone.
      visit.expected(/status of 404 .*\/(jobs|history)\/\d+/);
      const found: string[] = [];
      for (const [name, at] of Object.entries(VIEWS)) {
        const [path, text] = at(stage);
        await visit.page.goto(served.url + path);
        const wrong = await faultsOf(visit.page, text);
        await visit.page.screenshot({ path: join(PICTURES, `${look.theme}-${look.width}-${name}.png`) });
        found.push(...wrong.map((fault) => `${name}: ${fault}`));
      }
      expect(found).toEqual([]);
    },
    180_000,
  );

  it.each([
    { name: "forced", media: { forcedColors: "active" } },
    { name: "contrast", media: { contrast: "more" } },
  ] as const)(
    "shows what matters with the colours that a reader forces, and with more contrast: $name",
    async ({ name: look, media }) => {
      for (const theme of ["light", "dark"] as const) {
        const { page } = await browser.visit(served.url, { theme, credentials: person("ada") });
        await page.emulateMedia({ ...media, colorScheme: theme });
        for (const name of ["overview", "jobs", "job", "queue", "workers", "health"]) {
          const [path, text] = VIEWS[name]?.(stage) ?? ["", ""];
          await page.goto(served.url + path);
          expect([name, await faultsOf(page, text)]).toEqual([name, []]);
          await page.screenshot({ path: join(PICTURES, `${look}-${theme}-${name}.png`) });
        }
      }
    },
    120_000,
  );
});

/** What is wrong with a view that should show a text. */
async function faultsOf(page: Page, text: string): Promise<string[]> {
  await settled(page);
  const shown = page.locator("#main").getByText(text).first();
  const isShown = await shown.waitFor({ timeout: 5_000 }).then(
    () => true,
    () => false,
  );
  const excess = await excessWidth(page);
  return [
    ...(isShown ? [] : [`does not show ${text}`]),
    ...(excess > 0 ? [`is ${excess} px too wide`] : []),
    ...(await axeFindings(page)),
  ];
}
