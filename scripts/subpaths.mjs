import { readFileSync } from "node:fs";

const packageJson = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

/**
 * The entries that package.json exports and that hold code, as `{ subpath, name, types, source }`: `./pg` is called
 * `pg`, `.` is called `howdah`; paths are relative to the root.
 */
export const subpaths = Object.entries(packageJson.exports)
  .filter(([, target]) => typeof target === "object")
  .map(([subpath, { types }]) => ({
    subpath,
    name: subpath === "." ? packageJson.name : subpath.slice("./".length).replaceAll("/", "-"),
    types,
    source: types.replace(/^\.\/dist\//, "src/").replace(/\.d\.ts$/, ".ts"),
  }));
