import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig } from "vitepress";
import { readApiNavigation } from "../api.mjs";
import { missingFrom, readNavigation } from "../navigation.mjs";
import { BUILT, STAGED } from "../pages.mjs";
import { repositoryLinks, slugOf } from "../repository-links.mjs";

const ROOT = resolve(import.meta.dirname, "../../..");
const { version, repository } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const address = repository?.url?.replace(/^git\+/, "").replace(/\.git$/, "");

const guides = readNavigation(readFileSync(join(ROOT, "docs/README.md"), "utf8"));
const missing = missingFrom(guides);
if (missing.length > 0) throw new Error(`docs/README.md does not link to ${missing.join(", ")}.`);

const CONTRIBUTING = [
  { text: "Contributing", link: "/contributing/" },
  { text: "Architecture", link: "/contributing/architecture" },
  { text: "Tests", link: "/contributing/tests" },
  { text: "Chaos", link: "/contributing/chaos" },
  { text: "Changelog", link: "/changelog" },
  { text: "Reporting a vulnerability", link: "/security-policy" },
];

export default defineConfig({
  title: "Howdah",
  description: "A job queue on PostgreSQL, for Node.js and TypeScript",
  lang: "en",
  base: process.env.HOWDAH_SITE_BASE ?? "/",
  srcDir: STAGED,
  outDir: BUILT,
  cacheDir: join(ROOT, ".cache/site/vitepress"),
  cleanUrls: true,
  head: [["link", { rel: "icon", href: "data:," }]],
  markdown: {
    anchor: { slugify: slugOf },
    theme: { light: "github-light-high-contrast", dark: "github-dark" },
    config: (md) => void md.use(repositoryLinks, { repository: address && `${address}/blob/main` }),
  },
  themeConfig: {
    siteTitle: `Howdah ${version}`,
    search: { provider: "local" },
    outline: { level: [2, 3] },
    nav: [
      { text: "Getting started", link: "/getting-started" },
      { text: "Guides", link: "/overview" },
      { text: "Examples", link: "/examples/" },
      { text: "API", link: "/api/" },
      { text: "Benchmarks", link: "/benchmarks" },
    ],
    sidebar: {
      "/": [...guides, { text: "API", link: "/api/" }, { text: "Project", collapsed: true, items: CONTRIBUTING }],
      "/api/": [{ text: "API", link: "/api/", items: readApiNavigation() }],
    },
    ...(address ? { socialLinks: [{ icon: "github", link: address }] } : {}),
  },
});
