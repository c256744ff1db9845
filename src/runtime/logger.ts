import colors from "picocolors";
import { HowdahError } from "../errors.ts";
import { systemClock, type Clock } from "./clock.ts";
import { describeValue } from "./describe-value.ts";
import { logLine } from "./log-line.ts";
import { outliveReader } from "./outlive-reader.ts";

/**
 * Where a worker or client logs. `console`, winston, pino and Fastify's logger
 * can be used directly; for loggers that take the fields first, such as pino
 * and bunyan, the two arguments are swapped.
 */
export interface Logger {
  /** A failure that needs attention. */
  error(message: string, fields?: LogFields): void;
  /** An unexpected state; the worker goes on. */
  warn(message: string, fields?: LogFields): void;
  /** A worker starts or stops. */
  info(message: string, fields?: LogFields): void;
  /** Everything else. */
  debug(message: string, fields?: LogFields): void;
}

/** How serious a log line is, most serious first. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** Details of a message. They never contain payloads or credentials. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The least serious level that is logged, or `silent` for none. */
export type LogThreshold = LogLevel | "silent";

/** The target of log lines, such as `process.stderr`. */
export interface LogStream {
  /** Takes a line, with its line end. */
  write(text: string): unknown;
  /** Called with a listener, so that a closed stream does not end the process. */
  on?(event: "error", listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean | undefined;
}

/** Options of {@link consoleLogger}. */
export interface ConsoleLoggerOptions {
  /** Default: the environment variable `HOWDAH_LOG`, or else `"info"`. */
  readonly level?: LogThreshold | undefined;
  /** Default: stderr. Coloured when it is a terminal and `NO_COLOR` is not set. */
  readonly stream?: LogStream | undefined;
  readonly clock?: Pick<Clock, "now"> | undefined;
}

const THRESHOLDS: readonly LogThreshold[] = ["silent", "error", "warn", "info", "debug"];

/**
 * The default logger: one line each, with the time and the fields as
 * `key=value`. Throws `HOWDAH_OPTION_INVALID` for an unknown level, also when
 * it comes from `HOWDAH_LOG`.
 */
export function consoleLogger(options: ConsoleLoggerOptions = {}): Logger {
  const { clock = systemClock } = options;
  const stream: LogStream = outliveReader(options.stream ?? process.stderr);
  const paint = colors.createColors(stream.isTTY === true && colors.isColorSupported);
  const allowed = THRESHOLDS.indexOf(readThreshold(options.level));

  function at(level: LogLevel, tint: (text: string) => string): Logger[LogLevel] {
    if (THRESHOLDS.indexOf(level) > allowed) return () => undefined;
    return (message, fields) => {
      stream.write(`${new Date(clock.now()).toISOString()} howdah ${tint(level)} ${logLine(message, fields)}\n`);
    };
  }

  return {
    error: at("error", paint.red),
    warn: at("warn", paint.yellow),
    info: at("info", paint.green),
    debug: at("debug", paint.dim),
  };
}

function readThreshold(given: LogThreshold | undefined): LogThreshold {
  const found = given ?? (process.env["HOWDAH_LOG"] || "info");
  const threshold = THRESHOLDS.find((known) => known === found);
  if (threshold !== undefined) return threshold;
  const source = given === undefined ? "The environment variable HOWDAH_LOG" : "The level of a logger";
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${source} must be one of ${THRESHOLDS.join(", ")}, found ${describeValue(found)}.`,
  );
}

/** Logs nothing. */
export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
};

/** The same logger with `fields` on every line; the fields of a line take precedence. */
export function scoped(logger: Logger, fields: LogFields): Logger {
  return {
    error: (message, more) => logger.error(message, { ...fields, ...more }),
    warn: (message, more) => logger.warn(message, { ...fields, ...more }),
    info: (message, more) => logger.info(message, { ...fields, ...more }),
    debug: (message, more) => logger.debug(message, { ...fields, ...more }),
  };
}
