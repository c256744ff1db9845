/**
 * Makes a site of the documentation, in .cache/site/built. It needs the network once, to install docs/site.
 *
 *   npm run docs               builds it, and fails for a link that leads nowhere
 *   npm run docs -- --serve    and serves it on http://localhost:4173
 *   npm run docs -- --look     and looks at it in Chromium: see look.mjs
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installLibraries } from "../../test/harness/install-libraries.ts";
import { writeApiPages } from "./api.mjs";
import { deadLinks } from "./dead-links.mjs";
import { BUILT, SITE, stagePages } from "./pages.mjs";

const { values: flags } = parseArgs({
  options: { serve: { type: "boolean", default: false }, look: { type: "boolean", default: false } },
});

await installLibraries(SITE);
stagePages();
writeApiPages();
vitepress("build");
const dead = deadLinks(BUILT);
for (const { page, link } of dead) console.error(`${page}: ${link} leads nowhere`);
if (dead.length > 0) process.exit(1);
if (flags.look) {
  const { look } = await import("./look.mjs");
  await look();
}
if (flags.serve) vitepress("preview");

function vitepress(command) {
  const program = join(SITE, "node_modules/vitepress/bin/vitepress.js");
  const { status } = spawnSync(process.execPath, [program, command, SITE], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
