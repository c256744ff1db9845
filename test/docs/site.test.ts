import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { anchorsOf } from "./markdown.ts";
import { projectFiles, readProjectFile, ROOT } from "./project-tree.ts";

interface Site {
  readNavigation(markdown: string): { text: string; items: { text: string; link: string }[] }[];
  missingFrom(navigation: ReturnType<Site["readNavigation"]>): string[];
  linkOf(file: string, link: string, repository?: string): { href?: string; title?: string };
  slugOf(heading: string): string;
  deadLinks(built: string): { page: string; link: string }[];
}

const load = (file: string): Promise<Partial<Site>> => import(join(ROOT, "docs/site", file)) as Promise<Partial<Site>>;

const { readNavigation, missingFrom, linkOf, slugOf, deadLinks } = {
  ...(await load("navigation.mjs")),
  ...(await load("repository-links.mjs")),
  ...(await load("dead-links.mjs")),
} as Site;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe("the site of the documentation", () => {
  it("has every guide, reference and page about the inside in its navigation", () => {
    expect(missingFrom(readNavigation(readProjectFile("docs/README.md")))).toEqual([]);
  });

  it("misses a page that docs/README.md does not link to", () => {
    const shortened = readProjectFile("docs/README.md").replaceAll("(guides/cron.md)", "(guides/time-zones.md)");
    expect(missingFrom(readNavigation(shortened))).toEqual(["docs/guides/cron.md"]);
  });

  it.each([
    ["docs/guides/cron.md", "hooks.md#events", { href: "/guides/hooks.md#events" }],
    ["docs/guides/cron.md", "../README.md", { href: "/overview.md" }],
    ["docs/README.md", "../examples/README.md", { href: "/examples/index.md" }],
    ["examples/README.md", "08-cron.mjs", { href: "/examples/08-cron-mjs.md" }],
    ["docs/guides/cron.md", "https://example.com/a.md", { href: "https://example.com/a.md" }],
    ["docs/internals/claim.md", "../../src/job/claim/claimer.ts", { title: "src/job/claim/claimer.ts" }],
  ])("in %s, makes of the link to %s what it is there", (file, link, expected) => {
    expect(linkOf(file, link)).toEqual(expected);
  });

  it("links to files that it does not have where the repository has them, once that is known", () => {
    const { href } = linkOf("docs/guides/cron.md", "../../src/index.ts", "https://example.com/blob/main");
    expect(href).toBe("https://example.com/blob/main/src/index.ts");
  });

  it("gives headings the anchors that GitHub gives them", () => {
    const headings = projectFiles("docs")
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) => readProjectFile(file).match(/^## [^[\]\n]+$/gm) ?? []);
    expect(headings.length).toBeGreaterThan(100);
    for (const heading of headings) {
      const text = heading.slice("## ".length).replaceAll("`", "");
      expect([slugOf(text)]).toEqual(anchorsOf(heading));
    }
  });

  it("finds links to pages and to places of pages that are not there", () => {
    const built = mkdtempSync(join(tmpdir(), "howdah-site-test-"));
    folders.push(built);
    mkdirSync(join(built, "guides"));
    writeFileSync(join(built, "index.html"), '<a href="/guides/a#here">1</a><a class="x" href="/guides/b">2</a>');
    writeFileSync(
      join(built, "guides/a.html"),
      '<h2 id="here"></h2><a href="../">3</a><a href="#gone">4</a><a href="a.html#gone">5</a>',
    );
    expect(deadLinks(built)).toEqual([
      { page: "guides/a.html", link: "#gone" },
      { page: "guides/a.html", link: "a.html#gone" },
      { page: "index.html", link: "/guides/b" },
    ]);
  });
});
