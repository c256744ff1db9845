import type { Page } from "playwright-core";
import { until } from "../harness/until.ts";

/** Waits until a view shows what it has asked for. */
export async function settled(page: Page): Promise<void> {
  await page.locator("#main h1").first().waitFor();
  await until(async () => (await page.locator("#main .skeleton, [aria-busy=true]").count()) === 0, {
    message: "an answer in the page",
  });
}
