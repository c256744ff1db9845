/**
 * Takes pictures of views of the built page with made-up answers, in both themes and two widths.
 *
 *   node --import ./scripts/typescript.mjs page/dev/look.ts FOLDER [PATH…]
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Page as Tab } from "playwright-core";
import { serve } from "./serve.ts";

const [folder = "pictures", ...given] = process.argv.slice(2);

const PATHS = [
  "",
  "jobs",
  "jobs?group=error",
  "jobs/42",
  "jobs/41",
  "history",
  "queues",
  "queues/tenant-7",
  "tasks",
  "tasks/send_email",
  "workers",
  "workers/w_3",
  "schedules",
  "health",
  "activity",
  "operations",
  "operations/7",
];

const WIDTHS = { wide: { width: 1_280, height: 900 }, narrow: { width: 360, height: 740 } };

const { url, server } = await serve(0);
const browser = await chromium.launch({
  executablePath: process.env["HOWDAH_CHROMIUM"] ?? "/usr/bin/chromium",
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
mkdirSync(folder, { recursive: true });
for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, viewport] of Object.entries(WIDTHS)) {
    const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
    for (const path of given.length > 0 ? given : PATHS) {
      const tab = await context.newPage();
      tab.on("console", (message) => console.log(`${path}: ${message.type()}: ${message.text()}`));
      tab.on("pageerror", (error) => console.log(`${path}: ${error.message}`));
      await tab.goto(`${url}${path}`);
      await tab.waitForTimeout(500);
      const wide = await widest(tab);
      if (wide !== "") console.log(`${path} ${colorScheme} ${name}: ${wide}`);
      const file = `${path.replaceAll(/[^a-z0-9]+/gi, "-") || "overview"}-${colorScheme}-${name}.png`;
      await tab.screenshot({ path: join(folder, file), fullPage: process.env["FULL"] === "1" });
      await tab.close();
    }
    await context.close();
  }
}
await browser.close();
server.close();

async function widest(tab: Tab): Promise<string> {
  return tab.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return "";
    const element = [...document.querySelectorAll("body *")].find(
      (one) => one.getBoundingClientRect().right > clientWidth + 1,
    );
    return `is ${scrollWidth} px wide in ${clientWidth}: ${element?.tagName}.${element?.className} ${element?.textContent?.slice(0, 40)}`;
  });
}
