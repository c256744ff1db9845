import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { isHowdahError, type HowdahErrorCode } from "../errors.ts";
import { readStartOptions } from "./options.ts";

function refusal(given: unknown): { code: HowdahErrorCode; message: string } {
  try {
    readStartOptions(given);
  } catch (error) {
    if (isHowdahError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("These options were not refused");
}

describe("readStartOptions", () => {
  it("needs no option at all", () => {
    const none = { dataDir: undefined, port: undefined, version: undefined, settings: {} };
    expect(readStartOptions(undefined)).toEqual(none);
    expect(readStartOptions({ port: undefined, settings: { jit: undefined } })).toEqual(none);
  });

  it("makes the data folder absolute and passes on the rest", () => {
    const settings = { fsync: false, work_mem: "8MB", max_connections: 20, "howdah.note": "" };
    expect(readStartOptions({ dataDir: "data", port: 5433, version: "17", settings })).toEqual({
      dataDir: resolve("data"),
      port: 5433,
      version: "17",
      settings,
    });
  });

  it("refuses an unknown option with the one that was meant", () => {
    const { code, message } = refusal({ datadir: "x" });
    expect(code).toBe("HOWDAH_OPTION_UNKNOWN");
    expect(message).toContain("did you mean `dataDir`");
  });

  it.each([
    ["an empty folder", { dataDir: "" }],
    ["a folder with a NUL", { dataDir: "a\0b" }],
    ["port 0", { port: 0 }],
    ["a port that is too high", { port: 65_536 }],
    ["a version as a number", { version: 18 }],
    ["a version that is too old", { version: "13" }],
    ["settings as a list", { settings: [] }],
    ["a setting with a NUL", { settings: { work_mem: "\0" } }],
    ["a setting that is no number", { settings: { work_mem: Number.NaN } }],
    ["a setting that is an object", { settings: { work_mem: {} } }],
    ["a setting whose name would be two lines", { settings: { "jit\nport": 1 } }],
    ["a setting whose name is empty", { settings: { "": 1 } }],
    ["a setting that opens the server to others", { settings: { Listen_Addresses: "*" } }],
    ["a directive to include a file", { settings: { include: "/etc/passwd" } }],
  ])("refuses %s", (_, given) => {
    expect(refusal(given).code).toBe("HOWDAH_OPTION_INVALID");
  });
});
