import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { findChromium, launchChromium } from "../../test/harness/chromium.ts";
import { BUILT } from "./pages.mjs";
import { serve } from "./serve.mjs";

const PICTURES = resolve(BUILT, "../pictures");

const PAGES = [
  "/",
  "/getting-started",
  "/overview",
  "/guides/with-your-orm",
  "/guides/using-it-with",
  "/guides/comparison",
  "/guides/moving-in",
  "/guides/cron",
  "/reference/client",
  "/reference/cli",
  "/reference/errors",
  "/internals/claim",
  "/examples/",
  "/benchmarks",
  "/benchmarks/results",
  "/contributing/architecture",
  "/api/",
];

const WIDTHS = { wide: { width: 1280, height: 900 }, narrow: { width: 360, height: 740 } };

/** What a reader looks for, and a page that must be among the answers. */
const SEARCHED = { word: "snooze", page: /\/guides\/retries/ };

/**
 * Opens the main pages of the built site in Chromium, in both themes and two widths, and keeps a picture of each in
 * .cache/site/pictures. Throws when a page is wider than its window, says something in the console, or asks another
 * machine, and when the search does not find a word. Without Chromium it says that the site was not looked at.
 */
export async function look() {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    console.log(
      "There is no Chromium, so the site was not looked at. `npm run chromium` installs it, HOWDAH_CHROMIUM names another.",
    );
    return;
  }
  const site = await serve(BUILT);
  const browser = await launchChromium(executablePath);
  const problems = [];
  try {
    rmSync(PICTURES, { recursive: true, force: true });
    mkdirSync(PICTURES, { recursive: true });
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, viewport] of Object.entries(WIDTHS)) {
        const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
        for (const path of PAGES) {
          const found = await lookAt(context, { url: site.url, path, name: `${colorScheme}-${name}` });
          problems.push(...found.map((problem) => `${path} (${colorScheme}, ${name}): ${problem}`));
        }
        await context.close();
      }
    }
    problems.push(...(await search(browser, site.url)));
  } finally {
    await browser.close();
    site.close();
  }
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) throw new Error(`${problems.length} problems; pictures are in ${PICTURES}.`);
  console.log(`Looked at ${PAGES.length} pages in two themes and two widths; pictures are in ${PICTURES}.`);
}

async function lookAt(context, { url, path, name }) {
  const page = await context.newPage();
  const problems = [];
  watch(page, url, problems);
  const response = await page.goto(`${url}${path}`, { waitUntil: "networkidle" });
  if (response?.status() !== 200) problems.push(`answered ${response?.status()}`);
  const file = `${name}${path.replaceAll("/", "-").replace(/-$/, "") || "-home"}.png`;
  await page.screenshot({ path: join(PICTURES, file), fullPage: false });
  const { scrollWidth, clientWidth, widest } = await page.evaluate(measureWidth);
  if (scrollWidth > clientWidth) problems.push(`is ${scrollWidth} px wide in ${clientWidth}: ${widest}`);
  await page.close();
  return problems;
}

/** Runs in the page. */
function measureWidth() {
  const { scrollWidth, clientWidth } = document.documentElement;
  const tooWide = [...document.querySelectorAll("main *")].filter(
    (element) => element.getBoundingClientRect().right > clientWidth + 1,
  );
  const widest = tooWide.map((element) => `${element.tagName} ${element.textContent.slice(0, 40)}`)[0] ?? "";
  return { scrollWidth, clientWidth, widest };
}

function watch(page, url, problems) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const asked = request.url();
    if (!asked.startsWith(url) && !asked.startsWith("data:")) problems.push(`asks ${asked}`);
  });
}

async function search(browser, url) {
  const page = await browser.newPage({ viewport: WIDTHS.wide });
  const problems = [];
  watch(page, url, problems);
  await page.goto(`${url}/`, { waitUntil: "networkidle" });
  await page.keyboard.press("Control+k");
  await page.fill("#localsearch-input", SEARCHED.word);
  const results = page.locator("#localsearch-list a");
  await results.first().waitFor({ timeout: 10_000 });
  const links = await results.evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""));
  await page.screenshot({ path: join(PICTURES, "search.png") });
  await page.close();
  if (!links.some((link) => SEARCHED.page.test(link)))
    problems.push(`finds for ${SEARCHED.word} only ${links.join(" ")}`);
  return problems.map((problem) => `search: ${problem}`);
}
