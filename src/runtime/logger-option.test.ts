import { describe, expect, it, vi } from "vitest";
import { LOGGER } from "./logger-option.ts";
import { scoped, silentLogger, type LogLevel } from "./logger.ts";
import { readOptions } from "./options.ts";

const LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/** A logger of a class, as pino and winston are: its methods work on it alone. */
class Recorder {
  readonly calls: unknown[][] = [];
  error(...args: unknown[]) {
    this.calls.push(["error", ...args]);
  }
  warn(...args: unknown[]) {
    this.calls.push(["warn", ...args]);
  }
  info(...args: unknown[]) {
    this.calls.push(["info", ...args]);
  }
  debug(...args: unknown[]) {
    this.calls.push(["debug", ...args]);
  }
}

/** Takes an object first, and has the mark on what its children inherit from. */
class Pino extends Recorder {
  get [Symbol.for("pino.serializers")]() {
    return {};
  }
  child() {
    return Object.create(this) as Pino;
  }
}

/** Takes an object first. */
class Bunyan extends Recorder {
  child() {
    return this;
  }
  addStream() {}
}

/** Takes the message first, though it can have children. */
class Winston extends Recorder {
  child() {
    return this;
  }
}

function read(logger: unknown) {
  return readOptions("worker", { logger }, { logger: LOGGER }).logger;
}

describe("the option logger", () => {
  it.each([
    ["one that takes the message first", new Recorder()],
    ["winston", new Winston()],
  ])("calls each method of %s on it, the message first", (_name, logger) => {
    for (const level of LEVELS) read(logger)[level]("m", { a: 1 });
    expect(logger.calls).toEqual(LEVELS.map((level) => [level, "m", { a: 1 }]));
  });

  it.each([
    ["pino", new Pino()],
    ["a child of pino, as each request of Fastify has", new Pino().child()],
    ["bunyan", new Bunyan()],
  ])("calls each method of %s on it, the fields first", (_name, logger) => {
    for (const level of LEVELS) read(logger)[level]("m", { a: 1 });
    expect(logger.calls).toEqual(LEVELS.map((level) => [level, { a: 1 }, "m"]));
  });

  it("leaves out fields that there are none of, and keeps those of a scope", () => {
    const plain = new Recorder();
    read(plain).info("m");
    scoped(read(plain), { job: "7" }).info("m");
    const pino = new Pino();
    read(pino).info("m");
    scoped(read(pino), { job: "7" }).info("m");
    expect([plain.calls, pino.calls]).toEqual([
      [
        ["info", "m"],
        ["info", "m", { job: "7" }],
      ],
      [
        ["info", "m"],
        ["info", { job: "7" }, "m"],
      ],
    ]);
  });

  it("takes console as it is", () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
    try {
      read(console).warn("m", { a: 1 });
      expect(warn.mock.calls).toEqual([["m", { a: 1 }]]);
    } finally {
      warn.mockRestore();
    }
  });

  it("leaves out a line that cannot be written", () => {
    const fail = () => {
      throw new Error("disk full");
    };
    const logger = read({ ...silentLogger, warn: fail });
    expect(logger.warn("m", {})).toBeUndefined();
  });

  it("refuses what has no warn(), also when it has the warning() of syslog", () => {
    const { warn: _warn, ...rest } = silentLogger;
    const needed =
      "Worker option `logger` must be an object with the methods error(), warn(), info() and debug(), as console, pino and winston are";
    expect(() => read({ ...rest, warning: () => undefined })).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message: `${needed}: warn() missing; its warning() is not called, name it warn().`,
      }),
    );
    expect(() => read({ error: () => undefined, warn: () => undefined })).toThrow(
      `${needed}: info() and debug() missing.`,
    );
    expect(() => read(true)).toThrow(`${needed}, found true.`);
  });
});
