import { expect, it } from "vitest";
import { settingsFile } from "./settings-file.ts";

it("starts from the base file and writes one setting a line", () => {
  expect(settingsFile("cluster/data/postgresql.conf", { max_connections: 20, fsync: false, jit: true })).toBe(
    ["include 'cluster/data/postgresql.conf'", "max_connections = '20'", "fsync = 'off'", "jit = 'on'", ""].join("\n"),
  );
});

it("keeps a value from ending its quotes or its line", () => {
  expect(settingsFile("base", { "howdah.note": "it's a \\ and\r\nport = 1" }).split("\n")[1]).toBe(
    String.raw`howdah.note = 'it''s a \\ and\r\nport = 1'`,
  );
});
