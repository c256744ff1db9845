import { expect, it } from "vitest";
import { packageQueue } from "./package-queue.ts";

it.each([
  ["README.md", "."],
  ["src/index.ts", "src"],
  ["src/cli/demo/walk-files.ts", "src/cli"],
  ["node_modules/pg/lib/client.js", "node_modules/pg"],
  ["node_modules/@types/node/fs.d.ts", "node_modules/@types/node"],
  ["node_modules/a/node_modules/@b/c/d.js", "node_modules/a/node_modules/@b/c"],
  ["node_modules/.package-lock.json", "node_modules"],
])("puts %s into queue %s", (path, queue) => {
  expect(packageQueue(path)).toBe(queue);
});

it("keeps the names of queues within 128 characters and apart", () => {
  const long = `${"ä".repeat(200)}/${"😀".repeat(200)}`;
  const names = [packageQueue(`${long}/a`), packageQueue(`${long}b/a`)];
  expect(names.map((name) => Array.from(name).length)).toEqual([128, 128]);
  expect(names[0]).not.toBe(names[1]);
  expect(names[0]?.isWellFormed()).toBe(true);
});
