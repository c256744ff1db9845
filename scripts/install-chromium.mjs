/**
 * Installs Debian's Chromium for the tests of the page, where there is none: see findChromium. Needs apt, and root.
 * Without it the tests say that they leave the browser out, so this ends with one line and no error whatever happens.
 *
 *   npm run chromium
 */
import { spawnSync } from "node:child_process";
import { findChromium } from "../test/harness/chromium.ts";

/** With a font, without which a machine that has none draws no text. */
const PACKAGES = ["chromium", "fonts-dejavu-core"];

console.log(install());

function install() {
  const there = findChromium();
  if (there) return `Chromium is there: ${there}`;
  try {
    if (process.getuid?.() !== 0) throw new Error("only root may install packages.");
    run("apt-get", ["update"]);
    run("apt-get", ["install", "--yes", "--no-install-recommends", ...PACKAGES]);
    return `Chromium is installed: ${findChromium()}`;
  } catch (error) {
    return `Chromium cannot be installed, so the page is not tested in it: ${error.message}`;
  }
}

function run(command, args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stderr, error } = spawnSync(command, args, { env, encoding: "utf8", timeout: 600_000 });
  if (status === 0) return;
  const said = (error?.message ?? stderr).trim().split("\n").at(-1);
  throw new Error(`${command} ${args[0]}: ${said}`);
}
