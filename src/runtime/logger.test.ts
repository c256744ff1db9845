import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createManualClock } from "../testing/manual-clock.ts";
import { logLine } from "./log-line.ts";
import { consoleLogger, scoped, silentLogger, type ConsoleLoggerOptions, type LogLevel } from "./logger.ts";

const LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug"];

function setUp(options: ConsoleLoggerOptions & { isTTY?: boolean } = {}) {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text), isTTY: options.isTTY ?? false };
  const logger = consoleLogger({ stream, clock: createManualClock(0), ...options });
  return { lines, logger };
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("consoleLogger", () => {
  it("writes one line with time, level, message and fields", () => {
    const { lines, logger } = setUp();
    logger.warn("Job failed", { task: "send_email", id: "17", attempt: 3, message: "no route", key: undefined });
    expect(lines).toEqual([
      '1970-01-01T00:00:00.000Z howdah warn Job failed task=send_email id=17 attempt=3 message="no route"\n',
    ]);
  });

  it.each([
    [undefined, ["error", "warn", "info"]],
    ["debug", ["error", "warn", "info", "debug"]],
    ["warn", ["error", "warn"]],
    ["silent", []],
    ["", ["error", "warn", "info"]],
  ])("lets through, when HOWDAH_LOG is %j, %j", (value, expected) => {
    vi.stubEnv("HOWDAH_LOG", value);
    const { lines, logger } = setUp();
    for (const level of LEVELS) logger[level]("x");
    expect(lines.map((line) => line.split(" ")[2])).toEqual(expected);
  });

  it("prefers its parameter to the environment", () => {
    vi.stubEnv("HOWDAH_LOG", "silent");
    const { lines, logger } = setUp({ level: "error" });
    for (const level of LEVELS) logger[level]("x");
    expect(lines).toHaveLength(1);
  });

  it("refuses a level that does not exist", () => {
    vi.stubEnv("HOWDAH_LOG", "verbose");
    expect(() => consoleLogger()).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message:
          'The environment variable HOWDAH_LOG must be one of silent, error, warn, info, debug, found "verbose".',
      }),
    );
  });

  it("does not colour what is no terminal", () => {
    vi.stubEnv("FORCE_COLOR", "1");
    const { lines, logger } = setUp({ isTTY: false });
    logger.error("x");
    expect(lines[0]).not.toContain("\u001b");
  });
});

describe("consoleLogger with JSON", () => {
  it("writes one object a line with time, level, name, message and fields", () => {
    const { lines, logger } = setUp({ format: "json" });
    logger.warn("Job failed", {
      task: "send_email",
      attempt: 3,
      left: false,
      none: null,
      at: new Date(0),
      key: undefined,
    });
    expect(lines).toEqual([
      '{"time":"1970-01-01T00:00:00.000Z","level":"warn","msg":"Job failed","name":"howdah",' +
        '"task":"send_email","attempt":3,"left":false,"none":null,"at":"1970-01-01T00:00:00.000Z"}\n',
    ]);
  });

  it("shows an error with its causes and stack, and a field with a name of its own beside the line's", () => {
    const { lines, logger } = setUp({ format: "json" });
    logger.error("m", { level: "info", e: new Error("boom", { cause: "why" }), ["__proto__"]: 2 });
    const line = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    expect(line).toMatchObject({ level: "error", "field.level": "info", e: { message: "boom <- caused by: why" } });
    expect((line["e"] as Error).stack).toContain("logger.test.ts");
    expect(Object.keys(line)).toContain("__proto__");
  });

  it("takes the format from HOWDAH_LOG_FORMAT, after its parameter, and writes no colours", () => {
    vi.stubEnv("HOWDAH_LOG_FORMAT", "json");
    vi.stubEnv("FORCE_COLOR", "1");
    const { lines, logger } = setUp({ isTTY: true });
    logger.error("x");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ msg: "x" });
    const text = setUp({ format: "text" });
    text.logger.error("x");
    expect(text.lines).toEqual(["1970-01-01T00:00:00.000Z howdah error x\n"]);
  });

  it("refuses a format that does not exist", () => {
    vi.stubEnv("HOWDAH_LOG_FORMAT", "xml");
    expect(() => consoleLogger()).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message: 'The environment variable HOWDAH_LOG_FORMAT must be one of text, json, found "xml".',
      }),
    );
  });

  it("writes one line that a parser reads, whatever is logged", () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withMap: true });
    const name = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("time", "level", "msg", "name", "__proto__"));
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.dictionary(name, anything), (message, fields) => {
        const { lines, logger } = setUp({ format: "json" });
        logger.info(message, fields);
        expect(lines).toHaveLength(1);
        expect(lines[0]?.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", name: "howdah" });
      }),
    );
  });
});

describe("a log line", () => {
  it("cannot be forged by what is logged", () => {
    const forged = "ok\n1970-01-01 howdah error all is lost\u001b[2J\r\u202e\u2028";
    expect(logLine("Job failed", { message: forged })).toBe(
      'Job failed message="ok\\n1970-01-01 howdah error all is lost\\u001b[2J\\r\\u{202e}\\u{2028}"',
    );
    expect(logLine(forged, { [forged]: 1 })).not.toContain("\n");
  });

  it("is one line of printable characters whatever is logged", () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withMap: true });
    const fields = fc.dictionary(fc.string({ unit: "binary" }), anything);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fields, (message, given) => {
        expect(logLine(message, given)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
    );
  });

  it("shows errors by their message, lists and objects shortly, and never fails", () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    const hostile = {
      get x(): never {
        throw new Error("no");
      },
    };
    expect(
      logLine("m", { e: new Error("boom", { cause: "why" }), d: new Date(0), l: ["a", 1], o: { a: 1 }, n: null }),
    ).toBe('m e="boom <- caused by: why" d=1970-01-01T00:00:00.000Z l="a,1" o="{\\"a\\":1}" n=null');
    for (const value of [cycle, hostile, [cycle], Symbol("s"), 5n]) {
      expect(logLine("m", { value })).toMatch(/^m value=./);
    }
    expect(logLine("m", { value: "x".repeat(1_000_000) }).length).toBeLessThan(2_100);
  });
});

describe("scoped", () => {
  it("adds its fields to every line, inner ones winning", () => {
    const { lines, logger } = setUp({ level: "debug" });
    const inner = scoped(scoped(logger, { worker: "w", job: 1 }), { job: 2 });
    for (const level of LEVELS) inner[level]("m", { a: 1 });
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).toMatch(/ m worker=w job=2 a=1\n$/);
  });

  it("keeps silence silent", () => {
    for (const level of LEVELS) expect(scoped(silentLogger, { a: 1 })[level]("m")).toBeUndefined();
  });
});
