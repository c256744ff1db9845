import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../docs/project-tree.ts";
import { chromiumForTests, useBrowser } from "../harness/browser.ts";
import { fillSamples } from "./fill-samples.ts";
import { until } from "../harness/until.ts";
import { settled } from "./settled.ts";
import { clearStage, person, type ServedPage, servePage, setStage, type Stage } from "./stage.ts";

const chromium = chromiumForTests();
const isAsked = process.env["HOWDAH_PICTURES"] === "1";

/** What the guide may weigh for its reader. */
const MOST_BYTES = 100_000;

/** The pictures of docs/guides/admin.md, which are taken again by `HOWDAH_TEST_BROWSER=1 HOWDAH_PICTURES=1 npx vitest run --project browser pictures`. */
describe.skipIf(chromium === undefined || !isAsked)("pictures of the page", () => {
  const browser = useBrowser(chromium ?? "");
  let stage: Stage;
  let served: ServedPage;
  beforeAll(async () => {
    stage = await setStage();
    await fillSamples(stage.database);
    // Until the worker has taken one that knows what waits.
    const newest = `select top->'tasks'->0 as first from howdah._howdah_samples where resolution = 10 order by at desc limit 1`;
    await until(async () => (await stage.database.sql(newest))[0]?.["first"], { deadlineMs: 40_000 });
    served = await servePage(stage.database, { environment: { name: "production", colour: "#b91c1c" } });
  });
  afterAll(() => clearStage(stage));

  it.each([
    ["overview", "light", 1280, ""],
    ["job", "light", 1280, "jobs/:behind"],
    ["queue", "dark", 1280, "queues/tenant-7"],
    ["phone", "light", 360, ""],
  ] as const)("%s", async (name, theme, width, path) => {
    const visit = await browser.visit(served.url, { theme, width, credentials: person("ada") });
    await visit.page.goto(served.url + path.replace(":behind", stage.jobs.behind));
    await settled(visit.page);
    // It comes with a chunk of its own.
    if (path === "") await visit.page.locator(".plot canvas").waitFor();
    expect(await save(visit.page, `page-${name}`)).toBeLessThan(MOST_BYTES);
  });
});

/** Saves what is in the window, as WebP, which is a third as large as PNG, and returns its bytes. */
async function save(page: Page, name: string): Promise<number> {
  const png = (await page.screenshot({ path: join(ROOT, ".cache/browser", `${name}.png`) })).toString("base64");
  const studio = await page.context().newPage();
  const url = await studio.evaluate(`(async () => {
    const image = new Image();
    image.src = "data:image/png;base64,${png}";
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.9 });
    return new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(blob);
    });
  })()`);
  const bytes = Buffer.from(String(url).split(",")[1] ?? "", "base64");
  const folder = join(ROOT, "docs/pictures");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.webp`), bytes);
  return bytes.length;
}
