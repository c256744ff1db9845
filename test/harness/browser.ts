import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { findChromium, launchChromium } from "./chromium.ts";

/** A Chromium that the tests of one file share. */
export interface TestBrowser {
  /**
   * Opens an address in a context of its own: no cookies, storage or credentials of another visit. The test fails in the
   * end for anything that the page has done wrong: see {@link Visit.expected}.
   */
  visit(url: string, options?: VisitOptions): Promise<Visit>;
}

/** Who looks at a page, and with what. */
export interface VisitOptions {
  /** Default "light". */
  readonly theme?: "light" | "dark";
  /** In pixels. Default 1280; below 640 it is a telephone's. */
  readonly width?: number;
  /** What a browser's dialog for a password is answered with. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Problems that the visit is about, such as `/401/`. */
  readonly expected?: readonly RegExp[];
}

/** One tab. */
export interface Visit {
  readonly page: Page;
  /** What went wrong so far: errors of the console and of scripts, violations of the policy, requests to other machines. */
  readonly problems: readonly string[];
  /** Adds to the problems that fail no test. */
  expected(problem: RegExp): void;
}

/** The path of Chromium; `undefined`, and a line on stderr, when there is none. */
export function chromiumForTests(): string | undefined {
  const path = findChromium();
  if (path === undefined) {
    process.stderr.write(
      "The page is not tested in a browser: there is none. `npm run chromium` installs Debian's, HOWDAH_CHROMIUM names another.\n",
    );
  }
  return path;
}

/** Starts Chromium before the tests of this file, looks after each at what went wrong, and ends it in the end. */
export function useBrowser(executablePath: string): TestBrowser {
  let browser: Browser | undefined;
  const visits: { readonly context: BrowserContext; readonly unexpected: () => string[] }[] = [];
  beforeAll(async () => {
    browser = await launchChromium(executablePath);
  }, 60_000);
  afterAll(() => browser?.close());
  afterEach(async () => {
    const ended = visits.splice(0);
    for (const { context } of ended) await context.close();
    expect(ended.flatMap(({ unexpected }) => unexpected())).toEqual([]);
  });
  return {
    async visit(url, options = {}) {
      if (browser === undefined) throw new Error("Chromium has not started.");
      const context = await browser.newContext(contextOptions(options));
      await context.addInitScript({ content: REPORT_VIOLATIONS });
      const page = await context.newPage();
      page.setDefaultTimeout(15_000);
      const expected = [...(options.expected ?? [])];
      const problems = watch(page, new URL(url).origin);
      const unexpected = () => problems.filter((problem) => !expected.some((known) => known.test(problem)));
      visits.push({ context, unexpected });
      await page.goto(url);
      return { page, problems, expected: (problem) => void expected.push(problem) };
    },
  };
}

/** What axe-core finds in the page as it is: one line for each element. */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")) as Pick<
    axe.AxeResults,
    "violations"
  >;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`),
  );
}

/** How many pixels the page is wider than its window; 0 when it fits. */
export async function excessWidth(page: Page): Promise<number> {
  return Number(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"));
}

/** Runs in the page before its own scripts. */
const REPORT_VIOLATIONS = `document.addEventListener("securitypolicyviolation", (event) =>
  console.error("policy violated: " + event.effectiveDirective + " " + event.blockedURI + " " + event.sample));`;

function contextOptions({ theme = "light", width = 1280, credentials, headers }: VisitOptions): BrowserContextOptions {
  const isPhone = width < 640;
  return {
    colorScheme: theme,
    viewport: { width, height: isPhone ? 740 : 900 },
    reducedMotion: "reduce",
    hasTouch: isPhone,
    timezoneId: "UTC",
    locale: "en-GB",
    ...(credentials && { httpCredentials: credentials }),
    ...(headers && { extraHTTPHeaders: { ...headers } }),
  };
}

function watch(page: Page, origin: string): string[] {
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.stack ?? error.message}`));
  page.on("request", (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (protocol.startsWith("http") && asked !== origin) problems.push(`asks ${request.url()}`);
  });
  return problems;
}
