/**
 * Unpacks Debian's PgBouncer for the tests into node_modules/.cache/pgbouncer, with the libraries that this machine lacks:
 * nothing is installed, and nothing is done where there is a PgBouncer already. Needs apt; only root may have it read its
 * lists anew, which it does when they do not name the package. Without it the tests say that they leave PgBouncer out, so
 * this ends with one line and no error whatever happens.
 *
 *   npm run pgbouncer
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

const target = resolve(import.meta.dirname, "../node_modules/.cache/pgbouncer");
const draft = `${target}.draft-${process.pid}`;

console.log(install());

function install() {
  const there = findInstalled();
  if (there) return `PgBouncer is there: ${there}`;
  try {
    return unpack();
  } catch (error) {
    return `PgBouncer cannot be unpacked, so it is not tested: ${error.message}`;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function findInstalled() {
  const given = process.env.HOWDAH_PGBOUNCER;
  if (given) return given;
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    "/usr/sbin",
    "/usr/local/sbin",
    join(target, "usr/sbin"),
  ];
  return folders.map((folder) => join(folder, "pgbouncer")).find((file) => existsSync(file));
}

function unpack() {
  mkdirSync(join(draft, "packages"), { recursive: true });
  const [archive] = download(["pgbouncer"]);
  const needed = run("dpkg-deb", ["--field", archive, "Depends"])
    .split(",")
    // Of alternatives the first.
    .map((dependency) => dependency.trim().split(/[\s(|:]/, 1)[0])
    .filter((name) => name.startsWith("lib") && !isInstalled(name));
  if (needed.length > 0) download(needed);
  for (const file of archives()) run("dpkg-deb", ["--extract", file, join(draft, "root")]);
  rmSync(target, { recursive: true, force: true });
  renameSync(join(draft, "root"), target);
  return `PgBouncer is unpacked: ${join(target, "usr/sbin/pgbouncer")}`;
}

function download(names) {
  try {
    run("apt-get", ["download", ...names]);
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    run("apt-get", ["update"]);
    run("apt-get", ["download", ...names]);
  }
  return archives();
}

function archives() {
  const folder = join(draft, "packages");
  return readdirSync(folder).map((name) => join(folder, name));
}

function isInstalled(name) {
  const { status, stdout } = spawnSync("dpkg-query", ["--show", "--showformat=${Status}", name], { encoding: "utf8" });
  return status === 0 && stdout.endsWith(" installed");
}

function run(command, args) {
  const cwd = join(draft, "packages");
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 120_000 });
  if (status === 0) return stdout.trim();
  const said = (error?.message ?? stderr).trim().split("\n").at(-1);
  throw new Error(`${command} ${args[0]}: ${said}`);
}
