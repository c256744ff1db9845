import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { axeFindings, chromiumForTests, excessWidth, useBrowser } from "../harness/browser.ts";

/** A page of which everything is wrong that the tests of the real one rely on being seen. */
const BAD = `<!doctype html><title>bad</title>
<script>eval(1)</script><script src="/good.js"></script>
<img src="http://127.0.0.1:1/picture.png"><div style="color: red; width: 2000px">x</div>`;

const chromium = chromiumForTests();

describe.skipIf(chromium === undefined)("the browser of the tests", () => {
  const browser = useBrowser(chromium ?? "");
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer(({ url: path }, response) => {
      response.setHeader("content-security-policy", "default-src 'self'; img-src *");
      if (path === "/good.js") {
        response.setHeader("content-type", "text/javascript").end("throw new Error('of a script')");
        return;
      }
      if (path === "/favicon.ico") return void response.writeHead(204).end();
      response.setHeader("content-type", "text/html").end(BAD);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => void server.close());

  it("sees errors of scripts, violations of the policy, requests to other machines, and what axe-core finds", async () => {
    const { page, problems, expected } = await browser.visit(url);
    expected(/./);
    await page.waitForLoadState("networkidle");
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/policy violated: script-src-elem inline/),
        expect.stringMatching(/policy violated: style-src-attr inline/),
        expect.stringMatching(/error: Error: of a script/),
        "asks http://127.0.0.1:1/picture.png",
      ]),
    );
    const findings = (await axeFindings(page)).join("\n");
    expect(findings).toMatch(/^image-alt: img/m);
    expect(findings).toMatch(/^html-has-lang: html/m);
    expect(await excessWidth(page)).toBe(0);
  });
});
